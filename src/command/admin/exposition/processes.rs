//! The metrics of the processes themselves: the version, what answers, and the broker's CPU time and memory.

use std::fmt;

use super::{
    super::snapshot::{BrokerSnapshot, Snapshot},
    families::Families,
};
use crate::command::process::usage::Usage;

/// Writes the metrics of processes.
pub(super) fn encode(snapshot: &Snapshot, families: &mut Families<'_>) -> fmt::Result {
    let version = [([("version", env!("CARGO_PKG_VERSION"))], 1_u64)];
    families.gauges("build_info", "The version of Callboard, as a label. The value is 1.", version)?;
    let broker =
        snapshot.broker.iter().map(|broker| ([("component", "broker"), ("pool", "")], u64::from(broker.is_ok())));
    let pools = snapshot.pools.iter();
    let pools = pools.map(|(name, pool)| ([("component", "pool"), ("pool", name.as_str())], u64::from(pool.is_ok())));
    let help = "1 if the broker or the pool answered, 0 if it did not.";
    families.gauges("component_up", help, broker.chain(pools))?;
    match &snapshot.broker {
        Some(Ok(broker)) => encode_broker(broker, families),
        _ => Ok(()),
    }
}

fn encode_broker(broker: &BrokerSnapshot, families: &mut Families<'_>) -> fmt::Result {
    // Without /proc there are no samples.
    let usage = Usage::of(broker.pid).ok();
    let memory = usage.iter().map(|usage| ([], usage.rss_bytes()));
    families.gauges("broker_resident_memory_bytes", "Resident memory of the broker's process.", memory)?;
    let help = "CPU time of the broker's process, user and system.";
    families.counters("broker_cpu_seconds", help, usage.iter().map(|usage| ([], usage.cpu_s)))
}
