//! Why a page of the admin endpoint cannot be shown as wanted.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::snapshot::Snapshot;

/// The number of services that an error lists by name.
const LISTED_MAX: usize = 8;

/// Why a page cannot be shown as wanted: its status and one sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, self.text + "\n").into_response()
    }
}

/// Returns the problem of something that is not available now.
pub(super) fn unavailable(text: String) -> Problem {
    Problem { status: StatusCode::SERVICE_UNAVAILABLE, text }
}

/// Returns the problem of a service that the endpoint does not know, with those that it knows.
pub(super) fn unknown_service(snapshot: &Snapshot, service: &str) -> Problem {
    let service: String = service.chars().take(80).collect();
    let mut known = services(snapshot);
    known.sort_unstable();
    known.dedup();
    let count = known.len();
    known.truncate(LISTED_MAX);
    let there = match (known.as_slice(), count - known.len()) {
        ([], _) => "no service has workers".to_owned(),
        (known, 0) => format!("known services: {}", known.join(", ")),
        (known, more) => format!("known services: {} and {more} more", known.join(", ")),
    };
    Problem { status: StatusCode::NOT_FOUND, text: format!("unknown service {service}; {there}") }
}

fn services(snapshot: &Snapshot) -> Vec<&str> {
    let broker = snapshot.broker.as_ref().and_then(|broker| broker.as_ref().ok());
    if let Some(broker) = broker {
        return broker.metrics.services.iter().map(|service| service.status.name.as_str()).collect();
    }
    let loads = snapshot.pools.iter().filter_map(|(_, pool)| pool.as_ref().ok()?.load.as_ref());
    loads.flat_map(|load| &load.offers).map(|offer| offer.service.as_str()).collect()
}
