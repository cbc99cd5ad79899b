//! The machine's time from the system's monotonic clock.

use std::time::{SystemTime, UNIX_EPOCH};

use callboard_core::time::Time;
use tokio::time::Instant;

/// A clock that counts from its creation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock { started: Instant::now() }
    }

    /// Returns the microseconds of the wall clock, which continues from one start of the program to the next.
    pub(crate) fn wall_micros() -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    pub(crate) fn now(self) -> Time {
        let micros = self.started.elapsed().as_micros();
        Time::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// Converts an instant to the machine's time; an instant before its start becomes zero.
    pub(crate) fn time(self, instant: std::time::Instant) -> Time {
        let micros = Instant::from_std(instant).saturating_duration_since(self.started).as_micros();
        Time::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// Converts the machine's time to an instant. Never too early.
    pub(crate) fn instant(self, time: Time) -> Instant {
        self.started + time.since(Time::ZERO)
    }
}
