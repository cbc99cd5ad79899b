//! The counters and histograms of a group of calls.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use crate::wire::status::Code;

/// The name of success among the codes, as in gRPC.
const OK: &str = "OK";
/// The codes that a call can end with: OK, and those of errors.
const CODES: usize = 1 + Code::ALL.len();

/// The counters and histograms of a group of calls, such as those of one method.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallMetrics {
    /// Calls that ended, by the number of the code. OK is 0.
    completed: [u64; CODES],
    /// How long they waited for a worker.
    pub queue_time: Histogram,
    /// How long they were at workers: the way there and back is included. Calls that were at no worker are not counted.
    pub run_time: Histogram,
    /// The time from their arrival to their outcome.
    pub total_time: Histogram,
}

/// How a call ended, and how its time was spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CompletedCall {
    /// The code of its error; `None` if it succeeded.
    pub(crate) code: Option<Code>,
    pub(crate) queued: Duration,
    /// `None` if it was at no worker.
    pub(crate) running: Option<Duration>,
}

impl CallMetrics {
    /// Counts a call that has ended.
    pub(crate) fn record(&mut self, call: &CompletedCall) {
        self.count(call.code);
        self.queue_time.record(call.queued);
        self.total_time.record(call.queued + call.running.unwrap_or_default());
        call.running.iter().for_each(|&running| self.run_time.record(running));
    }

    /// Counts a call that the broker has answered itself, at once.
    pub(crate) fn count(&mut self, code: Option<Code>) {
        self.completed[code.map_or(0, |code| usize::from(code.number()))] += 1;
    }

    /// Returns the codes that calls ended with, by their names in gRPC, each with the number of calls.
    pub fn completed(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let names = [OK].into_iter().chain(Code::ALL.map(Code::name));
        names.zip(self.completed.iter().copied()).filter(|&(_, count)| count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn calls_are_counted_by_code() {
        let mut metrics = CallMetrics::default();
        for code in [None, None, Some(Code::Cancelled), Some(Code::Unauthenticated)] {
            metrics.record(&CompletedCall { code, queued: MILLISECOND, running: Some(MILLISECOND) });
        }
        metrics.count(Some(Code::Cancelled));
        let completed: Vec<_> = metrics.completed().collect();
        assert_eq!(completed, [("OK", 2), ("CANCELLED", 2), ("UNAUTHENTICATED", 1)]);
        assert_eq!(metrics.total_time.sum(), 8 * MILLISECOND);
    }

    #[test]
    fn a_call_that_was_at_no_worker_has_no_run_time() {
        let mut metrics = CallMetrics::default();
        metrics.record(&CompletedCall { code: Some(Code::Unavailable), queued: MILLISECOND, running: None });
        let counts = [&metrics.queue_time, &metrics.run_time, &metrics.total_time].map(Histogram::count);
        assert_eq!(counts, [1, 0, 1]);
    }
}
