//! The measurements of a phase: the latencies of the bystander's calls, and the broker's CPU time.

use std::{
    fmt, fs,
    time::{Duration, Instant},
};

/// The measurements of a phase, such as that of the attack.
#[derive(Debug)]
pub(crate) struct Phase {
    /// In ascending order.
    latencies: Vec<Duration>,
    span: Duration,
    cpu: Duration,
}

/// A phase that has begun.
#[derive(Debug)]
pub(crate) struct PhaseStart {
    broker: u32,
    at: Instant,
    cpu: Duration,
}

impl PhaseStart {
    /// Begins a phase of the broker with this process id.
    pub(crate) fn now(broker: u32) -> PhaseStart {
        PhaseStart { broker, at: Instant::now(), cpu: cpu_of(broker) }
    }

    /// Ends the phase, in which calls had these latencies.
    pub(crate) fn end(self, mut latencies: Vec<Duration>) -> Phase {
        latencies.sort_unstable();
        Phase { latencies, span: self.at.elapsed(), cpu: cpu_of(self.broker).saturating_sub(self.cpu) }
    }
}

impl Phase {
    /// Returns the latency that this part of the calls, in percent, did not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let at = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).copied().unwrap_or_default()
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, high) = (self.percentile(50), self.percentile(99));
        let cpu = 100.0 * self.cpu.as_secs_f64() / self.span.as_secs_f64();
        write!(f, "{} calls, p50 {median:?}, p99 {high:?}, broker {cpu:.0} % of a core", self.latencies.len())
    }
}

/// Returns the CPU time of a process. Zero where /proc does not report it.
fn cpu_of(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // After the name, which may contain spaces: the 12th and 13th field, in hundredths of a second.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}
