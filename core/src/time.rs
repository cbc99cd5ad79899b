//! The time of the machines: a point on the monotonic clock of their driver.

use std::{fmt, ops::Add, time::Duration};

/// A point in time: microseconds since a start that the driver chose. It never decreases.
///
/// The machines read no clock. A driver converts its clock to `Time`, and the simulation has a virtual clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The start of the driver's clock.
    pub const ZERO: Time = Time(0);

    /// Returns the point `micros` microseconds after the start.
    pub const fn from_micros(micros: u64) -> Time {
        Time(micros)
    }

    /// Returns the microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns the duration from `earlier` to this point, or zero if `earlier` is later.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    /// Returns the point `span` later. It saturates, because a deadline of "never" must not wrap around.
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
    fn the_duration_since_a_later_point_is_zero() {
        assert_eq!(Time::ZERO.since(Time::from_micros(5)), Duration::ZERO);
    }
}
