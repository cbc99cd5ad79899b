//! The streams of one call.

use crate::{
    stream::StreamRelay,
    time::Time,
    wire::{limits::PROGRESS_INTERVAL, streams::Streams},
};

/// The number of progress messages that may arrive at once, because a slow connection has delayed them.
const PROGRESS_BURST: u32 = 10;

/// The streams of one call.
#[derive(Debug, Default)]
pub(crate) struct CallStreams {
    pub(super) to_caller: StreamRelay,
    pub(super) to_handler: StreamRelay,
    /// When the next progress message is due if they arrive at equal intervals.
    progress_at: Time,
}

impl CallStreams {
    /// Creates the streams of a call, if it has any.
    pub(crate) fn new(streams: Streams) -> Option<Box<CallStreams>> {
        (streams != Streams::NONE).then(Box::default)
    }

    /// Returns whether an item was forwarded in either direction.
    pub(crate) fn has_items(&self) -> bool {
        self.to_caller.items() > 0 || self.to_handler.items() > 0
    }

    /// Returns whether an item was forwarded to the caller.
    pub(crate) fn has_items_to_caller(&self) -> bool {
        self.to_caller.items() > 0
    }

    /// Records that the call goes to another worker, which grants again the credit that the caller already has.
    pub(crate) fn restart_handler(&mut self) {
        self.to_handler.restart_reader();
    }

    /// Returns the bytes that were written, and that the readers have not granted again.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.to_caller.held_bytes() + self.to_handler.held_bytes()
    }

    /// Returns whether a progress message may be forwarded now. Each counts for half the time that a worker waits between two.
    pub(super) fn allow_progress(&mut self, now: Time) -> bool {
        let every = PROGRESS_INTERVAL / 2;
        let due = self.progress_at <= now + every * PROGRESS_BURST;
        if due {
            self.progress_at = self.progress_at.max(now) + every;
        }
        due
    }

    pub(super) fn assert_invariants(&self) {
        self.to_caller.assert_invariants();
        self.to_handler.assert_invariants();
    }
}
