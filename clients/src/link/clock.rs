//! The machines' time, from the system's monotonic clock.

use std::time::{Duration, Instant};

use callboard_core::time::Time;

/// Turns the system's clock into [`Time`], from the moment of its making on. A copy is the same clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn new() -> Clock {
        Clock { start: Instant::now() }
    }

    /// The time now.
    pub fn now(self) -> Time {
        Time::ZERO + self.start.elapsed()
    }

    /// That time on the system's clock; `None` if it is beyond what the system can say, which is never.
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
    fn a_time_is_found_again_on_the_systems_clock() {
        let clock = Clock::new();
        let now = clock.now();
        assert!(clock.instant(now).expect("now can be said") <= Instant::now());
        assert!(clock.now() >= now);
    }
}
