//! The metrics of pools and their worker processes.

use std::{collections::BTreeMap, fmt};

use super::{
    super::snapshot::{PoolSnapshot, Snapshot},
    families::Families,
};
use crate::command::process::usage::Usage;

/// A counter or a gauge of each pool: its name, its description, and its value.
struct Single(&'static str, &'static str, fn(&PoolSnapshot) -> u64);

const GAUGES: [Single; 6] = [
    Single("pool_size", "Worker processes that the pool should have.", |pool| u64::from(pool.report.size)),
    Single("pool_size_min", "The lowest size that the pool accepts.", |pool| u64::from(pool.report.min)),
    Single("pool_size_max", "The highest size that the pool accepts.", |pool| u64::from(pool.report.max)),
    Single("pool_generation", "The generation of the processes: 1, and one more for each reload.", |pool| {
        u64::from(pool.report.generation)
    }),
    Single("pool_rollout_in_progress", "1 while new processes replace the old ones.", |pool| {
        u64::from(pool.report.rollout.is_some())
    }),
    Single("pool_stopping", "1 while the pool stops, or after it gave up.", |pool| u64::from(pool.stopping)),
];
const COUNTERS: [Single; 3] = [
    Single("pool_process_starts", "Worker processes that were started.", |pool| pool.counters.starts),
    Single("pool_process_restarts", "Worker processes that ended and were replaced.", |pool| pool.counters.restarts),
    Single("pool_crash_loops", "Crash loops that began.", |pool| pool.counters.crash_loops),
];

/// The states of worker processes, as `callboard status` names them.
const STATES: [&str; 7] = ["starting", "running", "registered", "draining", "backoff", "looping", "empty"];

/// Writes the metrics of the pools that answered.
pub(super) fn encode(snapshot: &Snapshot, families: &mut Families<'_>) -> fmt::Result {
    let pools = || snapshot.pools.iter().filter_map(|(name, pool)| Some((name.as_str(), pool.as_ref().ok()?)));
    for Single(name, help, value) in GAUGES {
        families.gauges(name, help, pools().map(|(pool, state)| ([("pool", pool)], value(state))))?;
    }
    for Single(name, help, value) in COUNTERS {
        families.counters(name, help, pools().map(|(pool, state)| ([("pool", pool)], value(state))))?;
    }
    let rollouts = pools().flat_map(|(pool, state)| {
        let ended =
            [("completed", state.counters.rollouts_completed), ("rolled_back", state.counters.rollouts_rolled_back)];
        ended.map(|(result, count)| ([("pool", pool), ("result", result)], count))
    });
    families.counters("pool_rollouts", "Rollouts that ended, by result.", rollouts)?;
    let states = pools().flat_map(|(pool, state)| {
        processes_by_state(state).into_iter().map(move |(state, count)| ([("pool", pool), ("state", state)], count))
    });
    families.gauges("pool_processes", "Worker processes, by state.", states)?;
    encode_usage(pools(), families)
}

/// Returns the number of processes in each state. States without processes are listed, so that a query finds a zero.
fn processes_by_state(pool: &PoolSnapshot) -> BTreeMap<&str, u64> {
    let mut counts: BTreeMap<&str, u64> = STATES.into_iter().map(|state| (state, 0)).collect();
    pool.report.workers.iter().for_each(|worker| *counts.entry(&worker.state).or_default() += 1);
    counts
}

/// Writes memory and CPU time of each process that runs. The series of a process end with the process.
fn encode_usage<'a>(
    pools: impl Iterator<Item = (&'a str, &'a PoolSnapshot)>,
    families: &mut Families<'_>,
) -> fmt::Result {
    let workers = pools.flat_map(|(pool, state)| state.report.workers.iter().map(move |worker| (pool, worker)));
    let used: Vec<_> = workers
        .filter_map(|(pool, worker)| {
            let usage = Usage::of(worker.pid?).ok()?;
            Some(([("pool", pool), ("process", worker.instance.as_str())], usage))
        })
        .collect();
    let help = "Resident memory of the worker process.";
    let memory = used.iter().map(|(labels, usage)| (*labels, usage.rss_bytes()));
    families.gauges("pool_process_resident_memory_bytes", help, memory)?;
    let help = "CPU time of the worker process, user and system.";
    families.counters("pool_process_cpu_seconds", help, used.iter().map(|(labels, usage)| (*labels, usage.cpu_s)))
}
