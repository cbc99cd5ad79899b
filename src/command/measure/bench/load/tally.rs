//! Counters and latencies of calls.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The largest latency: an hour, since the last of a million waiting calls has waited long.
const LATENCY_US_MAX: u64 = 3_600_000_000;

/// The measurements of one client, or of several.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) calls: u64,
    /// Calls, casts, items or broadcasts, as [`Style::operations`](super::super::parameters::Style::operations) says.
    pub(crate) operations: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
    pub(crate) elapsed_s: f64,
    /// Latencies in microseconds, with the number of calls of each.
    pub(crate) latencies: Vec<(u64, u64)>,
}

/// The counters of one client.
#[derive(Debug)]
pub(crate) struct Tally {
    calls: u64,
    operations: u64,
    errors: u64,
    first_error: Option<String>,
    latencies: Histogram<u64>,
}

impl Tally {
    /// Creates counters of zero.
    ///
    /// # Errors
    /// None in practice: the bounds of the histogram are valid.
    pub(crate) fn new() -> anyhow::Result<Tally> {
        let latencies = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)?;
        Ok(Tally { calls: 0, operations: 0, errors: 0, first_error: None, latencies })
    }

    /// Counts a call with its number of operations, or its error.
    pub(crate) fn count(&mut self, started: Instant, ended: Instant, outcome: Result<u64, String>) {
        self.calls += 1;
        let micros = u64::try_from((ended - started).as_micros()).unwrap_or(u64::MAX);
        self.latencies.saturating_record(micros.max(1));
        match outcome {
            Ok(operations) => self.operations += operations,
            Err(error) => self.fail(1, error),
        }
    }

    /// Counts errors.
    pub(crate) fn fail(&mut self, errors: u64, error: String) {
        self.errors += errors;
        self.first_error.get_or_insert(error);
    }

    /// Returns the number of counted calls.
    pub(crate) fn calls(&self) -> u64 {
        self.calls
    }

    /// Returns the measurements of calls that took `elapsed` together.
    pub(crate) fn measured(self, elapsed: Duration) -> Measured {
        let recorded = self.latencies.iter_recorded();
        let latencies = recorded.map(|value| (value.value_iterated_to(), value.count_since_last_iteration())).collect();
        Measured {
            calls: self.calls,
            operations: self.operations,
            errors: self.errors,
            first_error: self.first_error,
            elapsed_s: elapsed.as_secs_f64(),
            latencies,
        }
    }
}

impl Measured {
    /// Returns the measurements of several clients that ran at the same time.
    pub(crate) fn sum(all: impl IntoIterator<Item = Measured>) -> Measured {
        all.into_iter().fold(Measured::default(), |sum, next| Measured {
            calls: sum.calls + next.calls,
            operations: sum.operations + next.operations,
            errors: sum.errors + next.errors,
            first_error: sum.first_error.or(next.first_error),
            elapsed_s: sum.elapsed_s.max(next.elapsed_s),
            latencies: [sum.latencies, next.latencies].concat(),
        })
    }

    /// Returns the latencies as a histogram.
    ///
    /// # Errors
    /// If a latency is out of range; none in practice.
    pub(crate) fn histogram(&self) -> anyhow::Result<Histogram<u64>> {
        let mut latencies = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)?;
        for (micros, calls) in &self.latencies {
            latencies.saturating_record_n(*micros, *calls);
        }
        Ok(latencies)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_clients_has_all_calls_and_the_longest_time() {
        let one = |micros: u64, outcome: Result<u64, String>| {
            let (mut tally, started) = (Tally::new().unwrap(), Instant::now());
            tally.count(started, started + Duration::from_micros(micros), outcome);
            tally.measured(Duration::from_micros(micros))
        };
        let sum = Measured::sum([one(100, Ok(5)), one(300, Err("lost".to_owned()))]);
        assert_eq!((sum.calls, sum.operations, sum.errors), (2, 5, 1));
        assert_eq!(sum.first_error.as_deref(), Some("lost"));
        assert_eq!(sum.elapsed_s, 0.0003);
        assert_eq!(sum.histogram().unwrap().max(), 300);
    }
}
