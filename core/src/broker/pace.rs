//! How fast a service works off its queue: what a refused caller is told to wait.

use std::time::Duration;

use crate::time::Time;

/// The least that a refused caller is told to wait: sooner would be the same crowd again.
const RETRY_MIN: Duration = Duration::from_millis(10);
/// The most that a refused caller is told to wait: longer would be a guess.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// How much each new gap counts: one part in this many.
const SMOOTHING: u32 = 8;

/// The smoothed time between the ends of two calls, while others wait.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: Option<Time>,
    each: Duration,
    /// The smoothed time that a call is at a worker; none before the first has ended.
    run: Option<Duration>,
}

impl Pace {
    /// A call ended while `waiting` others waited. With nobody waiting, the time until the next end says nothing.
    pub(super) fn ended(&mut self, now: Time, waiting: usize) {
        if let Some(last) = self.last.filter(|_| waiting > 0) {
            self.each = self.each * (SMOOTHING - 1) / SMOOTHING + now.since(last) / SMOOTHING;
        }
        self.last = Some(now).filter(|_| waiting > 0);
    }

    /// A call was at its worker for so long.
    pub(super) fn ran(&mut self, span: Duration) {
        self.run = Some(self.run.map_or(span, |run| run * (SMOOTHING - 1) / SMOOTHING + span / SMOOTHING));
    }

    /// How long until a call has its turn that `ahead` others are before, with so many slots; `None` before any has ended.
    pub(super) fn turn_after(&self, ahead: usize, slots: u32) -> Option<Duration> {
        let turns = u32::try_from(ahead).unwrap_or(u32::MAX).saturating_add(1);
        Some(self.run?.saturating_mul(turns) / slots.max(1))
    }

    /// How long `calls` calls will take.
    pub(super) fn time_for(&self, calls: usize) -> Duration {
        let calls = u32::try_from(calls).unwrap_or(u32::MAX);
        self.each.saturating_mul(calls).clamp(RETRY_MIN, RETRY_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_pace_is_learnt() {
        let mut pace = Pace::default();
        (0..200).for_each(|at| pace.ended(Time::from_micros(at * 1_000), 5));
        let wait = pace.time_for(100);
        assert!(wait > Duration::from_millis(95) && wait <= Duration::from_millis(100), "{wait:?}");
    }

    #[test]
    fn idle_time_is_no_pace() {
        let mut pace = Pace::default();
        pace.ended(Time::from_micros(0), 0);
        pace.ended(Time::from_micros(60_000_000), 1);
        assert_eq!(pace.time_for(1), RETRY_MIN);
    }
}
