//! `callboard.load`: the load of one pool, for the pool itself. Pools ask often, so the result covers their own workers only.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::super::{
    calls::Call,
    coordinator::state::Broker,
    keys::ServiceKey,
    registry::{Service, Worker},
    scheduling::method_of,
};
use crate::time::Time;

/// The load of a pool's workers: the result of `callboard.load`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Its connected workers.
    pub workers: Vec<WorkerLoad>,
    /// Their offers. Offers that are alike are added up.
    pub offers: Vec<OfferLoad>,
}

/// A worker in the result of `callboard.load`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerLoad {
    /// Its instance name.
    pub name: String,
    /// Whether it drains: it takes no more calls.
    pub draining: bool,
    /// Whether it is unresponsive: it did not stop a call that ran past its hard limit.
    #[serde(default)]
    pub stuck: bool,
    /// Calls that it runs.
    pub running: u64,
    /// Calls that it answered with a result.
    pub answered: u64,
    /// Calls that it answered with a failure, other than that they were cancelled.
    pub failed: u64,
    /// Its heartbeat interval, in milliseconds.
    #[serde(default)]
    pub heartbeat_ms: u64,
}

/// Some methods of a service, as the workers of a pool offer them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferLoad {
    /// The service.
    pub service: String,
    /// Calls that these workers can run at once.
    pub slots: u64,
    /// Calls that they run. Calls of other offers count, too, if they use slots that all offers of their worker share.
    pub running: u64,
    /// Waiting calls of these methods.
    pub waiting: u64,
    /// How long the oldest of them has waited, in milliseconds.
    pub oldest_wait_ms: u64,
}

/// Returns the load of the workers of `pool`.
pub(crate) fn load(broker: &Broker, now: Time, pool: &str) -> Load {
    let workers = || broker.registry.workers().map(|(_, worker)| worker).filter(|worker| is_of(worker, pool));
    // Offers are alike if they are of one service and begin with the same method: so are those of the processes of one program.
    let mut offers = BTreeMap::<(ServiceKey, Option<usize>), OfferLoad>::new();
    let offers_of = |worker| Worker::offers(worker).iter().map(move |offer| (worker, offer));
    for (worker, offer) in workers().filter(|worker| worker.takes_calls()).flat_map(offers_of) {
        let key = (offer.service, offer.methods.first().map(|offered| offered.method));
        let alike = offers.entry(key).or_insert_with(|| {
            let service = broker.registry.service(offer.service);
            let (waiting, oldest) = waiting(broker, now, service, |method, first| {
                // Calls that wait for a limit of their method or of an operator, and subcalls, are not counted: further workers could
                // not run them.
                let has_room = method < service.methods().len() && service.rule().may_start(method);
                offer.serves(method) && has_room && first.subcall_of.is_none()
            });
            OfferLoad { service: service.name.clone(), slots: 0, running: 0, waiting, oldest_wait_ms: millis(oldest) }
        });
        alike.slots += u64::from(worker.slots_of(offer));
        alike.running += u64::from(worker.used_slots_of(offer));
    }
    Load { workers: workers().map(worker_load).collect(), offers: offers.into_values().collect() }
}

fn is_of(worker: &Worker, pool: &str) -> bool {
    worker.pool.as_deref() == Some(pool)
}

fn worker_load(worker: &Worker) -> WorkerLoad {
    WorkerLoad {
        name: worker.name.to_string(),
        draining: worker.draining,
        stuck: worker.unresponsive_calls > 0,
        running: worker.running.len() as u64,
        answered: worker.answered,
        failed: worker.failed,
        heartbeat_ms: millis(worker.connection.interval),
    }
}

/// Returns the number of waiting calls in the sub-queues of a service's queue that `counts` accepts, and for how long the oldest of them
/// has waited. `counts` gets the method of a sub-queue and its oldest call.
pub(super) fn waiting(
    broker: &Broker,
    now: Time,
    service: &Service,
    counts: impl Fn(usize, &Call) -> bool,
) -> (u64, Duration) {
    let mut total = (0, Duration::ZERO);
    for (sub_queue, (calls, first)) in service.queue.sub_queues() {
        let first = &broker.calls[first];
        if counts(method_of(sub_queue), first) {
            total = (total.0 + calls as u64, total.1.max(now.since(first.since)));
        }
    }
    total
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
