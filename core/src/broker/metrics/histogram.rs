//! A histogram of durations with fixed buckets.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The upper bounds of the buckets, in microseconds: 1, 2.5 and 5 of each power of ten, from 100 us to 100 s. A call through a broker
/// takes at least some 50 us, and calls that take longer than 100 s need no finer distinction.
const BOUNDS: [u64; 19] = [
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
];
/// The buckets: one for each bound, and one for what is above all of them.
const BUCKETS: usize = BOUNDS.len() + 1;

/// A histogram of durations with fixed buckets, from 100 us to 100 s.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    buckets: [u64; BUCKETS],
    sum_us: u64,
}

impl Histogram {
    /// Counts a duration in the first bucket whose bound is not below it.
    pub(super) fn record(&mut self, span: Duration) {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        self.buckets[BOUNDS.partition_point(|&bound| bound < micros)] += 1;
        self.sum_us = self.sum_us.saturating_add(micros);
    }

    /// Returns the upper bound of each bucket with the number of durations in that bucket. The last one has no bound.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> + '_ {
        let bounds = BOUNDS.iter().map(|&micros| Some(Duration::from_micros(micros))).chain([None]);
        bounds.zip(self.buckets.iter().copied())
    }

    /// Returns the number of durations.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Returns the sum of the durations.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_that_holds_it() {
        let mut histogram = Histogram::default();
        for micros in [0, 100, 101, 250, 1_000_000, 100_000_000, 100_000_001] {
            histogram.record(Duration::from_micros(micros));
        }
        let filled: Vec<_> = histogram.buckets().filter(|&(_, count)| count > 0).collect();
        let bound = |micros| Some(Duration::from_micros(micros));
        assert_eq!(
            filled,
            [(bound(100), 2), (bound(250), 2), (bound(1_000_000), 1), (bound(100_000_000), 1), (None, 1)]
        );
        assert_eq!((histogram.count(), histogram.sum()), (7, Duration::from_micros(201_000_452)));
    }

    #[test]
    fn bounds_increase_and_the_longest_duration_has_a_bucket() {
        assert!(BOUNDS.is_sorted_by(|a, b| a < b));
        let mut histogram = Histogram::default();
        histogram.record(Duration::MAX);
        histogram.record(Duration::MAX);
        assert_eq!(histogram.buckets().last(), Some((None, 2)));
    }
}
