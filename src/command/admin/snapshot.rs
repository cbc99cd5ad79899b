//! The state that the pages of an admin endpoint show.

use callboard::core::broker::{Load, Metrics};
use serde::{Deserialize, Serialize};

use crate::command::control::report::PoolReport;

/// The state of everything that an endpoint covers, at one moment. A part that did not answer has the reason in its place.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// The broker; `None` at the endpoint of a pool.
    pub(crate) broker: Option<Result<BrokerSnapshot, String>>,
    /// The pools, with their names.
    pub(crate) pools: Vec<(String, Result<PoolSnapshot, String>)>,
    pub(crate) phase: Phase,
}

/// The phase of the processes of `callboard up` together. A broker and a pool alone report their own phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// Not everything was ready yet.
    Starting,
    #[default]
    Running,
    /// It was asked to stop.
    Stopping,
}

/// The state of a broker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BrokerSnapshot {
    pub(crate) pid: u32,
    pub(crate) metrics: Metrics,
}

/// The state of a pool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PoolSnapshot {
    pub(crate) report: PoolReport,
    pub(crate) counters: PoolCounters,
    /// Whether all its workers have ever been registered.
    pub(crate) was_ready: bool,
    /// Whether it was asked to stop, or gave up.
    pub(crate) stopping: bool,
    /// The load of its workers, if the broker has reported it in the last seconds.
    pub(crate) load: Option<Load>,
}

/// What a pool has counted since its start.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PoolCounters {
    /// Processes that were started.
    pub(crate) starts: u64,
    /// Processes that ended and were or will be replaced.
    pub(crate) restarts: u64,
    /// Crash loops that began.
    pub(crate) crash_loops: u64,
    /// Rollouts whose new workers have replaced the old ones.
    pub(crate) rollouts_completed: u64,
    /// Rollouts that were rolled back.
    pub(crate) rollouts_rolled_back: u64,
}
