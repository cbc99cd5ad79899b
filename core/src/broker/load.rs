//! `callboard.load`: how busy one pool is, for the pool itself. It asks often, so the answer is about its own workers alone.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Broker, ServiceKey, Worker, call::Call, keyed::method_of, service::Service};
use crate::time::Time;

/// How busy a pool's workers are, as `callboard.load` tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Its workers that are connected.
    pub workers: Vec<WorkerLoad>,
    /// What they offer, the offers that are alike taken together.
    pub offers: Vec<OfferLoad>,
}

/// A worker as `callboard.load` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerLoad {
    /// Its instance name.
    pub name: String,
    /// Whether it takes no more calls.
    pub draining: bool,
    /// Whether it did not stop a call that ran past its hard limit.
    #[serde(default)]
    pub stuck: bool,
    /// Calls that it runs.
    pub running: u64,
    /// Calls that it has answered with a result.
    pub answered: u64,
    /// Calls that it has answered with a failure, other than that they were cancelled.
    pub failed: u64,
    /// How often it lets itself be heard, in milliseconds.
    #[serde(default)]
    pub heartbeat_ms: u64,
}

/// Some methods of a service, as a pool's workers offer them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferLoad {
    /// The service.
    pub service: String,
    /// Calls that these workers can run at once.
    pub slots: u64,
    /// Calls that they run.
    pub running: u64,
    /// Calls of these methods that wait.
    pub waiting: u64,
    /// How long the oldest of them has waited, in milliseconds.
    pub oldest_wait_ms: u64,
}

impl Broker {
    /// How busy the workers of `pool` are.
    pub fn load(&self, now: Time, pool: &str) -> Load {
        let workers = || self.workers.values().filter(|worker| worker.pool.as_deref() == Some(pool));
        let told = workers().map(|worker| WorkerLoad {
            name: worker.name.to_string(),
            draining: worker.draining,
            stuck: worker.stuck > 0,
            running: worker.running.len() as u64,
            answered: worker.answered,
            failed: worker.failed,
            heartbeat_ms: u64::try_from(worker.presence.interval.as_millis()).unwrap_or(u64::MAX),
        });
        // Offers are alike if they are of one service and begin with the same method: so are those of one program's processes.
        let mut offers = BTreeMap::<(ServiceKey, Option<usize>), OfferLoad>::new();
        for offer in workers().filter(|worker| worker.takes_calls()).flat_map(|worker: &Worker| &worker.offers) {
            let key = (offer.service, offer.methods.first().map(|served| served.method));
            let alike = offers.entry(key).or_insert_with(|| {
                let service = &self.services[&offer.service];
                let (waiting, oldest) = self.waiting(now, service, |row, first| {
                    // More workers would not help a call that waits for its method's limit, nor the part of a broadcast.
                    let helps = !service.methods[method_of(row)].is_full() && first.part_of.is_none();
                    offer.serves(method_of(row)) && helps
                });
                let oldest_wait_ms = u64::try_from(oldest.as_millis()).unwrap_or(u64::MAX);
                OfferLoad { service: service.name.clone(), slots: 0, running: 0, waiting, oldest_wait_ms }
            });
            alike.slots += u64::from(offer.slots);
            alike.running += u64::from(offer.running);
        }
        Load { workers: told.collect(), offers: offers.into_values().collect() }
    }

    /// Calls in some rows of a service's queue, told by their number and the oldest call in them, and for how long the oldest has
    /// waited.
    pub(super) fn waiting(
        &self,
        now: Time,
        service: &Service,
        counts: impl Fn(usize, &Call) -> bool,
    ) -> (u64, Duration) {
        let rows = service.queue.rows().into_iter().map(|(row, (calls, first))| (row, calls, &self.calls[first.0]));
        rows.filter(|&(row, _, first)| counts(row, first))
            .fold((0, Duration::ZERO), |(waiting, oldest), (_, calls, first)| {
                (waiting + calls as u64, oldest.max(now.since(first.since)))
            })
    }
}
