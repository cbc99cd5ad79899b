//! Calls that go to one worker although others are free: a batch costs one wake-up.

use std::time::Duration;

use super::{super::keys::WorkerKey, Candidate};
use crate::time::Time;

/// The calls of a service that go to one worker, although others are free, because they are scheduled in the same turn.
///
/// A worker that is woken for one short call spends more time on waking than on the call. So the calls that arrive together go to one
/// worker as long as its slots are free and the handlers are expected to take at most `batch_time` together. The next ones go to
/// the next worker. Without a known handler time, a batch is one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    worker: WorkerKey,
    offer: usize,
    /// The turn that the batch belongs to.
    turn: Time,
    /// How long the handlers of its further calls may take.
    left: Duration,
}

impl Batch {
    /// Creates a batch whose first call goes to a candidate. `left` is the time for its further calls.
    pub(super) fn new(turn: Time, first: Candidate, left: Duration) -> Batch {
        Batch { worker: first.worker, offer: first.offer, turn, left }
    }

    /// Returns the worker and its offer for one more call in this turn, if the batch has time for its handler.
    pub(super) fn next(&mut self, turn: Time, handler_time: Duration) -> Option<(WorkerKey, usize)> {
        if self.turn != turn {
            return None;
        }
        self.left = self.left.checked_sub(handler_time)?;
        Some((self.worker, self.offer))
    }
}
