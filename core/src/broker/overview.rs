//! The parts of `callboard.status`: who is there, and what they do at this moment.
//!
//! Each list is bounded, for a status must fit into a message however many peers there are; what was left out is counted.

use serde::{Deserialize, Serialize};

use super::{
    Broker, Worker,
    call::{Call, State},
    client::Client,
    own::{ServiceStatus, WorkerStatus},
    service::Service,
};
use crate::time::Time;

/// Workers that one status lists.
pub(super) const WORKERS_MAX: usize = 1_000;
/// Clients that one status lists.
const CLIENTS_MAX: usize = 200;
/// Services that one status lists.
const SERVICES_MAX: usize = 256;
/// Calls that one status lists of one worker: the oldest, for those are who somebody looks for.
const CALLS_MAX: usize = 4;

/// What a status left out for its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Omitted {
    /// Workers.
    pub workers: usize,
    /// Clients.
    pub clients: usize,
    /// Services.
    pub services: usize,
}

/// A client as `callboard.status` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientStatus {
    /// Its name for people; it may have none.
    pub name: String,
    /// How its calls are called: the first half of `caller-call`.
    pub caller: String,
    /// Whether it is connected, or may yet return.
    pub connected: bool,
    /// Its calls that are open.
    pub open: usize,
}

/// A call at a worker as `callboard.status` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallStatus {
    /// Which call, as people write it.
    pub call: String,
    /// What was called.
    pub method: String,
    /// How long ago it was sent to the worker, in milliseconds.
    pub for_ms: u64,
    /// Whether its outcome is waited for; one that nobody waits for any more is to stop.
    pub wanted: bool,
}

/// How much is called, as `callboard.status` tells it: calls a second, over the last seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rates {
    /// Calls that came.
    pub arrived: f64,
    /// Calls that ended with a result.
    pub answered: f64,
    /// Calls that ended with a failure.
    pub failed: f64,
}

impl Broker {
    pub(super) fn worker_status(&self, now: Time, worker: &Worker) -> WorkerStatus {
        let calls = worker.running.values().take(CALLS_MAX).map(|key| call_status(now, &self.calls[key.0]));
        let mut services: Vec<_> =
            worker.offers.iter().map(|offer| self.services[&offer.service].name.clone()).collect();
        services.dedup();
        WorkerStatus {
            name: worker.name.to_string(),
            pool: worker.pool.clone(),
            pid: worker.pid,
            host: worker.host.clone(),
            running: worker.running.len(),
            draining: worker.draining,
            stuck: worker.stuck > 0,
            services,
            slots: worker.offers.iter().map(|offer| u64::from(offer.slots)).sum(),
            calls: calls.collect(),
            answered: worker.answered,
            failed: worker.failed,
        }
    }

    /// The clients, and how many there is no room for. Those with open calls come first.
    pub(super) fn client_statuses(&self) -> (Vec<ClientStatus>, usize) {
        let mut all: Vec<_> = self.clients.values().map(client_status).collect();
        all.sort_by_key(|client| std::cmp::Reverse(client.open));
        let omitted = all.len().saturating_sub(CLIENTS_MAX);
        all.truncate(CLIENTS_MAX);
        (all, omitted)
    }

    /// The services of workers, without their methods, and how many there is no room for.
    pub(super) fn service_overviews(&self, now: Time) -> (Vec<ServiceStatus>, usize) {
        let known =
            || self.service_names.values().filter(|key| self.services[key].offers + self.services[key].calls > 0);
        let told = known().take(SERVICES_MAX).map(|key| self.service_status(now, *key, false));
        (told.collect(), known().count().saturating_sub(SERVICES_MAX))
    }

    /// How long the call that waits longest has waited, in milliseconds.
    pub(super) fn oldest_wait_ms(&self, now: Time, service: &Service) -> u64 {
        millis(self.waiting(now, service, |_, _| true).1)
    }
}

fn client_status(client: &Client) -> ClientStatus {
    let open = client.open.len();
    let caller = format!("{:08x}", client.session.tag());
    ClientStatus { name: client.name.clone(), caller, connected: client.presence.is_some(), open }
}

fn call_status(now: Time, call: &Call) -> CallStatus {
    debug_assert!(matches!(call.state, State::Running { .. }), "only what runs is at a worker");
    CallStatus {
        call: call.id.to_string(),
        method: call.method.to_string(),
        for_ms: millis(now.since(call.since)),
        wanted: call.is_wanted(),
    }
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
