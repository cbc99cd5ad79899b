//! How the time of a call was spent at the broker.

use std::time::Duration;

use crate::wire::status::Timings;

/// How long a call waited and was at workers: two durations in 16 bytes instead of 32, in microseconds as [`crate::time::Time`] has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TimeSpent {
    queued: u64,
    running: u64,
}

impl TimeSpent {
    /// Adds a time in the queue or at a worker.
    pub(super) fn add(&mut self, span: Duration, at_worker: bool) {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let sum = if at_worker { &mut self.running } else { &mut self.queued };
        *sum = sum.saturating_add(micros);
    }

    /// Returns it as the timings of a failure.
    pub(crate) fn timings(self) -> Timings {
        let [queued, running] = [self.queued, self.running].map(Duration::from_micros);
        Timings { client: Duration::ZERO, queued, running }
    }
}
