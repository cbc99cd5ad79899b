//! The machines' time, from the system's monotonic clock.

use std::time::{Duration, Instant};

use callboard_core::time::Time;

/// A clock that measures [`Time`] from its creation on. Copies are the same clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Creates a clock that starts at [`Time::ZERO`] now.
    pub fn new() -> Clock {
        Clock { start: Instant::now() }
    }

    /// Returns the current time.
    pub fn now(self) -> Time {
        Time::ZERO + self.start.elapsed()
    }

    /// Converts `time` to the system's clock. Returns `None` if the system cannot represent it, which means "never".
    pub fn instant(self, time: Time) -> Option<Instant> {
        self.start.checked_add(Duration::from_micros(time.as_micros()))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Clock::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_time_converts_to_the_systems_clock() {
        let clock = Clock::new();
        let now = clock.now();
        assert!(clock.instant(now).expect("the current time is representable") <= Instant::now());
        assert!(clock.now() >= now);
    }
}
