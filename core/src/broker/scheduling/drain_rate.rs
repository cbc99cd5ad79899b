//! The rate at which a service drains its queue, for retry-after hints and estimates.

use std::time::Duration;

use crate::time::Time;

/// The shortest retry-after hint: after a shorter one, the same load would arrive again.
const RETRY_MIN: Duration = Duration::from_millis(10);
/// The longest retry-after hint: a longer one would be a guess.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// The weight of a new sample in the smoothed value: one part in this many.
const SMOOTHING: u32 = 8;

/// The smoothed drain rate of one service.
#[derive(Debug, Default)]
pub(crate) struct DrainRate {
    last: Option<Time>,
    /// The smoothed time between the ends of two calls while others wait.
    interval: Duration,
    /// The smoothed time that a call is at a worker. `None` before the first has ended.
    run: Option<Duration>,
}

impl DrainRate {
    /// Records that a call ended while `waiting` others waited. If none waited, the time until the next end is no sample.
    pub(crate) fn record_end(&mut self, now: Time, waiting: usize) {
        if let Some(last) = self.last.filter(|_| waiting > 0) {
            self.interval = self.interval * (SMOOTHING - 1) / SMOOTHING + now.since(last) / SMOOTHING;
        }
        self.last = Some(now).filter(|_| waiting > 0);
    }

    /// Records how long a call was at its worker.
    pub(crate) fn record_run(&mut self, span: Duration) {
        self.run = Some(self.run.map_or(span, |run| run * (SMOOTHING - 1) / SMOOTHING + span / SMOOTHING));
    }

    /// Estimates the time until a call has its turn, with `ahead` others before it and this number of slots. `None` before any
    /// call has ended.
    pub(crate) fn estimate_turn(&self, ahead: usize, slots: u32) -> Option<Duration> {
        let turns = u32::try_from(ahead).unwrap_or(u32::MAX).saturating_add(1);
        Some(self.run?.saturating_mul(turns) / slots.max(1))
    }

    /// Estimates how long `calls` calls will take, within the bounds of a retry-after hint.
    pub(crate) fn estimate_drain(&self, calls: usize) -> Duration {
        let calls = u32::try_from(calls).unwrap_or(u32::MAX);
        self.interval.saturating_mul(calls).clamp(RETRY_MIN, RETRY_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_measured() {
        let mut rate = DrainRate::default();
        (0..200).for_each(|at| rate.record_end(Time::from_micros(at * 1_000), 5));
        let wait = rate.estimate_drain(100);
        assert!(wait > Duration::from_millis(95) && wait <= Duration::from_millis(100), "{wait:?}");
    }

    #[test]
    fn idle_time_is_no_sample() {
        let mut rate = DrainRate::default();
        rate.record_end(Time::from_micros(0), 0);
        rate.record_end(Time::from_micros(60_000_000), 1);
        assert_eq!(rate.estimate_drain(1), RETRY_MIN);
    }
}
