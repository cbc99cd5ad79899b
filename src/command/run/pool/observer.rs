//! The observer of a pool: counts its events, and answers the admin endpoint.

use std::sync::Arc;

use callboard::pool::PoolEvent;

use super::{control_service::ControlService, load_client::LoadClient};
use crate::command::admin::{
    snapshot::{PoolCounters, PoolSnapshot},
    source::PoolRequests,
};

/// The observer of one pool.
pub(crate) struct PoolObserver {
    control_service: ControlService,
    load: Arc<LoadClient>,
    requests: PoolRequests,
    counters: PoolCounters,
    was_ready: bool,
    stopping: bool,
}

impl PoolObserver {
    pub(crate) fn new(control_service: ControlService, load: Arc<LoadClient>, requests: PoolRequests) -> PoolObserver {
        let counters = PoolCounters::default();
        PoolObserver { control_service, load, requests, counters, was_ready: false, stopping: false }
    }

    /// Counts an event of the pool.
    pub(crate) fn record(&mut self, event: &PoolEvent) {
        let counters = &mut self.counters;
        match event {
            PoolEvent::Started { .. } => counters.starts += 1,
            PoolEvent::Restarting { .. } => counters.restarts += 1,
            PoolEvent::CrashLooping { .. } => counters.crash_loops += 1,
            PoolEvent::GaveUp { .. } => {
                counters.crash_loops += 1;
                self.stopping = true;
            }
            PoolEvent::RolloutFinished { outcome, .. } => match outcome.rolled_back {
                None => counters.rollouts_completed += 1,
                Some(_) => counters.rollouts_rolled_back += 1,
            },
            PoolEvent::Ready { .. } => self.was_ready = true,
            _ => {}
        }
    }

    /// Records that the pool was asked to stop.
    pub(crate) fn set_stopping(&mut self) {
        self.stopping = true;
    }

    /// Answers the requests of the admin endpoint. Never returns.
    ///
    /// # Cancel safety
    /// Cancel safe: no request is lost.
    pub(crate) async fn answer(&mut self) {
        loop {
            let reply = self.requests.next().await;
            // The endpoint may no longer wait.
            let _ = reply.send(self.snapshot());
        }
    }

    fn snapshot(&self) -> PoolSnapshot {
        PoolSnapshot {
            report: self.control_service.status(),
            counters: self.counters,
            was_ready: self.was_ready,
            stopping: self.stopping,
            load: self.load.recent(),
        }
    }
}
