//! Events per second, over the last seconds.

use crate::time::Time;

/// The number of full seconds that are averaged.
const SECONDS: u64 = 5;
/// The number of buckets: the full seconds and the present one.
const BUCKETS: usize = SECONDS as usize + 1;
const MICROS: u64 = 1_000_000;

/// Counts events by second. The cost does not depend on the number of events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rate {
    /// The second of the youngest bucket.
    second: u64,
    buckets: [u32; BUCKETS],
}

impl Rate {
    /// Counts an event.
    pub(crate) fn count(&mut self, now: Time) {
        self.advance(now);
        let bucket = &mut self.buckets[(self.second % BUCKETS as u64) as usize];
        *bucket = bucket.saturating_add(1);
    }

    /// Returns the events per second, over the last five full seconds.
    pub(crate) fn per_second(&self, now: Time) -> f64 {
        let mut present = self.clone();
        present.advance(now);
        let young = present.buckets[(present.second % BUCKETS as u64) as usize];
        let all: u64 = present.buckets.iter().copied().map(u64::from).sum();
        (all - u64::from(young)) as f64 / SECONDS as f64
    }

    /// Empties the buckets of the seconds that have passed.
    fn advance(&mut self, now: Time) {
        let second = now.as_micros() / MICROS;
        let passed = second.saturating_sub(self.second).min(BUCKETS as u64);
        for back in 0..passed {
            self.buckets[((second - back) % BUCKETS as u64) as usize] = 0;
        }
        self.second = self.second.max(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    #[test]
    fn a_steady_rate_is_reported_exactly() {
        let mut rate = Rate::default();
        (0..100).for_each(|number| rate.count(at(number * 100)));
        assert_eq!(rate.per_second(at(9_900)), 10.0);
    }

    #[test]
    fn events_are_forgotten_after_five_seconds() {
        let mut rate = Rate::default();
        (0..50).for_each(|_| rate.count(at(500)));
        assert_eq!(rate.per_second(at(999)), 0.0, "the present second is not full");
        assert_eq!(rate.per_second(at(1_000)), 10.0);
        assert_eq!(rate.per_second(at(5_999)), 10.0);
        assert_eq!(rate.per_second(at(6_000)), 0.0);
        assert_eq!(rate.per_second(at(1_000_000)), 0.0);
        rate.count(at(1_000_000));
        assert_eq!(rate.per_second(at(1_001_000)), 0.2);
    }
}
