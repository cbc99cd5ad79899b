//! The pause before the next attempt to connect.

use std::time::Duration;

use crate::wire::limits::RECONNECT_BACKOFF_MIN;

/// The most doublings that are counted: by then the pause has reached the longest heartbeat.
const DOUBLINGS_MAX: u32 = 16;

/// Exponential backoff with jitter: the pause doubles with each failure, up to a heartbeat.
#[derive(Debug)]
pub(super) struct Backoff {
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(longest: Duration) -> Backoff {
        Backoff { longest, failures: 0 }
    }

    /// Makes the next pause the shortest again, after a connection that was stable.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Returns the pause after one more failure: at least a fifth of its step. `chance`, evenly distributed over all numbers,
    /// chooses how much of the rest is added.
    pub(super) fn pause(&mut self, chance: u32) -> Duration {
        let step = (RECONNECT_BACKOFF_MIN * (1 << self.failures)).min(self.longest);
        self.failures = (self.failures + 1).min(DOUBLINGS_MAX);
        let least = step / 5;
        let rest = u64::try_from((step - least).as_micros()).expect("a step is at most a heartbeat, ten minutes");
        least + Duration::from_micros((rest * u64::from(chance)) >> 32)
    }
}

const _: () = assert!(
    RECONNECT_BACKOFF_MIN.as_millis() << DOUBLINGS_MAX >= crate::wire::limits::HEARTBEAT_MAX.as_millis(),
    "the count of failures stops only after the pause has stopped growing"
);
