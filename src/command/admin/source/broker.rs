//! The snapshot of the broker of this process.

use callboard::broker::BrokerMonitor;

use super::{super::snapshot::BrokerSnapshot, answer::answer};

/// Collects the state of the broker, between two of its turns.
pub(super) async fn snapshot(monitor: &BrokerMonitor) -> Result<BrokerSnapshot, String> {
    let metrics = answer("the broker", monitor.read(|broker, now| broker.metrics(now))).await?;
    Ok(BrokerSnapshot { pid: std::process::id(), metrics })
}
