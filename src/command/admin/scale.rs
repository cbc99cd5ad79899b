//! `/scale/SERVICE`: the numbers that decide how many workers a service needs, for KEDA's metrics-api scaler.

use axum::http::StatusCode;
use serde::Serialize;

use super::{
    problem::{Problem, unavailable, unknown_service},
    snapshot::Snapshot,
};

/// The load of one service.
#[derive(Debug, Default, PartialEq, Serialize)]
struct ServiceLoad<'a> {
    service: &'a str,
    /// Waiting and running calls: the number to scale on. The target for one replica is its slots.
    value: u64,
    waiting: u64,
    running: u64,
    slots: u64,
    oldest_wait_seconds: f64,
}

/// Returns the load of a service, as JSON.
pub(super) fn scale(snapshot: &Snapshot, service: &str) -> Result<String, Problem> {
    let load = match &snapshot.broker {
        Some(Ok(_)) | None => of_broker(snapshot, service).or_else(|| of_pools(snapshot, service)),
        Some(Err(why)) => {
            return Err(unavailable(format!("no number: {why}")));
        }
    };
    let load = load.ok_or_else(|| unknown_service(snapshot, service))?;
    let load = ServiceLoad { value: load.waiting + load.running, ..load };
    serde_json::to_string(&load)
        .map_err(|error| Problem { status: StatusCode::INTERNAL_SERVER_ERROR, text: error.to_string() })
}

fn of_broker<'a>(snapshot: &Snapshot, service: &'a str) -> Option<ServiceLoad<'a>> {
    let metrics = &snapshot.broker.as_ref()?.as_ref().ok()?.metrics;
    let status = &metrics.services.iter().find(|known| known.status.name == service)?.status;
    Some(ServiceLoad {
        service,
        value: 0,
        waiting: status.waiting as u64,
        running: status.running,
        slots: status.slots,
        oldest_wait_seconds: status.oldest_wait_ms as f64 / 1_000.0,
    })
}

/// Adds up the offers of a pool's workers, at the endpoint of a pool.
fn of_pools<'a>(snapshot: &Snapshot, service: &'a str) -> Option<ServiceLoad<'a>> {
    let loads = snapshot.pools.iter().filter_map(|(_, pool)| pool.as_ref().ok()?.load.as_ref());
    let offers = loads.flat_map(|load| &load.offers).filter(|offer| offer.service == service);
    offers.fold(None, |sum, offer| {
        let sum: ServiceLoad<'_> = sum.unwrap_or(ServiceLoad { service, ..ServiceLoad::default() });
        Some(ServiceLoad {
            waiting: sum.waiting + offer.waiting,
            running: sum.running + offer.running,
            slots: sum.slots + offer.slots,
            oldest_wait_seconds: sum.oldest_wait_seconds.max(offer.oldest_wait_ms as f64 / 1_000.0),
            ..sum
        })
    })
}
