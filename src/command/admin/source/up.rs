//! The snapshot of the processes of `callboard up`: their own snapshots, joined.

use std::path::{Path, PathBuf};

use futures::future::{join, join_all};
use tokio::sync::watch;

use super::{
    super::snapshot::{BrokerSnapshot, Phase, PoolSnapshot, Snapshot},
    process::read,
};

/// Reads the snapshots of the broker and the pools of `callboard up`.
pub(crate) struct UpMonitor {
    /// The socket of the broker.
    pub(crate) broker: PathBuf,
    /// The pools, each with its socket.
    pub(crate) pools: Vec<(String, PathBuf)>,
    /// The phase of all processes together.
    pub(crate) phase: watch::Receiver<Phase>,
}

impl UpMonitor {
    pub(super) async fn snapshot(&self) -> Snapshot {
        let pools = self.pools.iter().map(async |(name, path)| (name.clone(), pool(name, path).await));
        let (broker, pools) = join(broker(&self.broker), join_all(pools)).await;
        Snapshot { broker: Some(broker), pools, phase: *self.phase.borrow() }
    }
}

async fn broker(path: &Path) -> Result<BrokerSnapshot, String> {
    read("the broker", path).await?.broker.unwrap_or_else(|| Err("the broker sent no state".to_owned()))
}

async fn pool(name: &str, path: &Path) -> Result<PoolSnapshot, String> {
    let what = format!("the pool {name}");
    let pools = read(&what, path).await?.pools;
    pools.into_iter().next().map_or_else(|| Err(format!("{what} sent no state")), |(_, pool)| pool)
}
