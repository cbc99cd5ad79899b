//! One round of a measurement, with processes of its own.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::{arguments::Plan, load::tally::Measured, machine, processes::Processes};
use crate::command::process::usage::Usage;

/// The time after `fill` in which the broker reads the last calls.
const SETTLE: Duration = Duration::from_millis(200);

/// The measurements of a round.
pub(crate) struct Round {
    /// Calls, with one for each whole stream.
    pub(crate) calls: u64,
    pub(crate) operations: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
    pub(crate) elapsed_s: f64,
    /// Microseconds of whole calls.
    pub(crate) latencies: Histogram<u64>,
    /// The CPU time of each process during the measurement, and its memory at the end.
    pub(crate) processes: Vec<(String, Usage)>,
    /// Processors that other programs kept busy meanwhile.
    pub(crate) others: f64,
}

/// CPU times at one moment.
struct Reading {
    at: Instant,
    processes: Vec<Usage>,
    own_s: f64,
    machine_s: f64,
}

impl Round {
    /// Starts the processes, measures them and ends them.
    ///
    /// # Errors
    /// If a process cannot start, or ends.
    pub(crate) async fn run(plan: &Plan) -> anyhow::Result<Round> {
        let mut processes = Processes::start(plan).await?;
        processes.resume_clients().await?;
        processes.clients_print("ready").await?;
        let pids = processes.pids();
        if plan.parameters.fill.is_some() {
            tokio::time::sleep(SETTLE).await;
        }
        let before = Reading::take(&pids)?;
        if plan.parameters.fill.is_some() {
            processes.resume_workers().await?;
        }
        processes.resume_clients().await?;
        let lines = processes.client_lines().await?;
        let after = Reading::take(&pids)?;
        processes.end().await;
        let measured = lines.iter().map(|line| serde_json::from_str(line)).collect::<Result<Vec<Measured>, _>>()?;
        Round::new(Measured::sum(measured), pids, &before, &after)
    }

    fn new(measured: Measured, pids: Vec<(String, u32)>, before: &Reading, after: &Reading) -> anyhow::Result<Round> {
        let latencies = measured.histogram()?;
        let used = before.processes.iter().zip(&after.processes);
        let used = used.map(|(before, after)| Usage { cpu_s: after.cpu_s - before.cpu_s, ..*after });
        let processes: Vec<_> = pids.into_iter().map(|(name, _)| name).zip(used).collect();
        let measured_s = processes.iter().map(|(_, usage)| usage.cpu_s).sum::<f64>() + after.own_s - before.own_s;
        let others_s = after.machine_s - before.machine_s - measured_s;
        Ok(Round {
            calls: measured.calls,
            operations: measured.operations,
            errors: measured.errors,
            first_error: measured.first_error,
            elapsed_s: measured.elapsed_s,
            latencies,
            processes,
            others: others_s.max(0.0) / (after.at - before.at).as_secs_f64(),
        })
    }

    /// Returns CPU seconds per 100,000 operations; per 100,000 calls if all have failed.
    pub(crate) fn per_100k(&self, cpu_s: f64) -> f64 {
        let counted = if self.operations == 0 { self.calls } else { self.operations };
        cpu_s * 100_000.0 / counted.max(1) as f64
    }

    /// Returns CPU seconds per 100,000 operations of all processes.
    pub(crate) fn cpu_s_per_100k(&self) -> f64 {
        self.per_100k(self.processes.iter().map(|(_, usage)| usage.cpu_s).sum())
    }
}

impl Reading {
    fn take(pids: &[(String, u32)]) -> anyhow::Result<Reading> {
        Ok(Reading {
            at: Instant::now(),
            processes: pids.iter().map(|(_, pid)| Usage::of(*pid)).collect::<anyhow::Result<_>>()?,
            own_s: Usage::of(std::process::id())?.cpu_s,
            machine_s: machine::busy_s()?,
        })
    }
}
