//! How long to wait before the next attempt to connect.

use std::time::Duration;

use crate::wire::limits::RECONNECT_STEP_FIRST;

/// Doublings after which the longest heartbeat is passed for sure; the count stops here.
const DOUBLINGS_MAX: u32 = 16;

/// A pause that doubles with each failure, up to a heartbeat, and has chance in it.
#[derive(Debug)]
pub(super) struct Backoff {
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(longest: Duration) -> Backoff {
        Backoff { longest, failures: 0 }
    }

    /// A connection held: the next pause is a short one again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The pause after one more failure: a fifth of its step, and that part of the rest which `chance` is of all
    /// numbers.
    pub(super) fn pause(&mut self, chance: u32) -> Duration {
        let step = (RECONNECT_STEP_FIRST * (1 << self.failures)).min(self.longest);
        self.failures = (self.failures + 1).min(DOUBLINGS_MAX);
        let least = step / 5;
        let rest = u64::try_from((step - least).as_micros()).expect("a step is at most a heartbeat, ten minutes");
        least + Duration::from_micros((rest * u64::from(chance)) >> 32)
    }
}

const _: () = assert!(
    RECONNECT_STEP_FIRST.as_millis() << DOUBLINGS_MAX >= crate::wire::limits::HEARTBEAT_MAX.as_millis(),
    "the count of failures stops only where the pause has stopped growing"
);
