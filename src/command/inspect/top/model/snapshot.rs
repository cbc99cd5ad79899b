//! What one poll of the broker returned.

use std::time::Instant;

use callboard::core::broker::{DeadLetter, LimitsStatus, ServiceStatus, WaitReason, WorkerStatus};

use super::tab::Tab;
use crate::command::{
    control::{pool_name::POOL_PREFIX, report::PoolReport},
    inspect::status::snapshot::StatusSnapshot,
};

/// What the screen shows now, and so what the next poll queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) tab: Tab,
    pub(crate) detail: Option<Detail>,
    /// Whether the user has paused the refresh.
    pub(crate) is_paused: bool,
}

/// One call or dead letter that is shown in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    Call(String),
    DeadLetter(u64),
}

/// The state of the broker at one moment. A list that was not queried is `None`; one that the broker refused is an error.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) taken: Instant,
    pub(crate) status: StatusSnapshot,
    pub(crate) limits: LimitsStatus,
    pub(crate) methods: Option<Result<Vec<ServiceStatus>, String>>,
    pub(crate) calls: Option<Result<Vec<WaitReason>, String>>,
    pub(crate) dead_letters: Option<Result<Vec<DeadLetter>, String>>,
    pub(crate) detail: Option<(Detail, Result<String, String>)>,
}

impl Snapshot {
    /// Returns the workers. A pool's own connection, which serves nothing but its control service, is left out.
    pub(super) fn workers(&self) -> impl Iterator<Item = &WorkerStatus> {
        let is_pool = |worker: &&WorkerStatus| worker.services.iter().any(|service| service.starts_with(POOL_PREFIX));
        self.status.broker.workers.iter().filter(move |worker| !is_pool(worker))
    }

    /// Returns the pool that has a worker of this name.
    pub(super) fn pool_of_worker(&self, worker: &str) -> Option<&PoolReport> {
        let has_it = |pool: &&PoolReport| pool.workers.iter().any(|replica| replica.instance == worker);
        self.status.pools.iter().find(has_it)
    }

    /// Takes the lists of an earlier snapshot that this one does not have, so that a switch of lists shows rows at once.
    pub(crate) fn inherit(&mut self, earlier: Snapshot) {
        self.methods = self.methods.take().or(earlier.methods);
        self.calls = self.calls.take().or(earlier.calls);
        self.dead_letters = self.dead_letters.take().or(earlier.dead_letters);
    }
}
