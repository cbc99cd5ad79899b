//! Time as the machines know it: a point on the driver's own monotonic clock.

use std::{fmt, ops::Add, time::Duration};

/// A point in time: microseconds since a moment that the driver chose, never going back.
///
/// The machines read no clock. A driver turns its clock into `Time`; the simulation makes it up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The driver's starting moment.
    pub const ZERO: Time = Time(0);

    /// The point `micros` microseconds after the driver's starting moment.
    pub const fn from_micros(micros: u64) -> Time {
        Time(micros)
    }

    /// Microseconds since the driver's starting moment.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    /// The point `span` later; the end of time if that is beyond it (a deadline of "never" must not wrap around).
    fn add(self, span: Duration) -> Time {
        let micros = span.as_secs().saturating_mul(1_000_000).saturating_add(span.subsec_micros().into());
        Time(self.0.saturating_add(micros))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_far_deadline_saturates() {
        assert_eq!(Time::from_micros(7) + Duration::MAX, Time::from_micros(u64::MAX));
    }

    #[test]
    fn the_past_is_zero_long_ago() {
        assert_eq!(Time::ZERO.since(Time::from_micros(5)), Duration::ZERO);
    }
}
