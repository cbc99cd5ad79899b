//! Where the snapshot of an admin endpoint comes from.

mod answer;
mod broker;
mod pool;
mod process;
mod up;

use callboard::broker::BrokerMonitor;

pub(crate) use self::{
    answer::ANSWER_MAX,
    pool::{PoolMonitor, PoolRequests, pool_monitor},
    up::UpMonitor,
};
use super::snapshot::Snapshot;

/// Where the snapshot of an admin endpoint comes from.
pub(crate) enum Source {
    /// The broker of this process.
    Broker(BrokerMonitor),
    /// The pool of this process.
    Pool(PoolMonitor),
    /// The processes of `callboard up`.
    Up(UpMonitor),
}

impl Source {
    /// Returns the present state. What does not answer in time has the reason in its place.
    pub(super) async fn snapshot(&self) -> Snapshot {
        match self {
            Source::Broker(monitor) => {
                Snapshot { broker: Some(broker::snapshot(monitor).await), ..Snapshot::default() }
            }
            Source::Pool(monitor) => {
                Snapshot { pools: vec![(monitor.name().to_owned(), monitor.snapshot().await)], ..Snapshot::default() }
            }
            Source::Up(monitor) => monitor.snapshot().await,
        }
    }
}
