//! The time of the machines: a point on the monotonic clock of their driver.

use std::{fmt, num::NonZeroU64, ops::Add, time::Duration};

/// A point in time: microseconds since a start that the driver chose. It never decreases.
///
/// The machines read no clock. A driver converts its clock to `Time`, and the simulation has a virtual clock.
///
/// It is stored plus one, so that an `Option<Time>` takes 8 bytes: a waiting call has several.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(NonZeroU64);

impl Time {
    /// The start of the driver's clock.
    pub const ZERO: Time = Time(NonZeroU64::MIN);

    /// Returns the point `micros` microseconds after the start. It saturates at the highest.
    pub const fn from_micros(micros: u64) -> Time {
        Time(NonZeroU64::MIN.saturating_add(micros))
    }

    /// Returns the microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0.get() - 1
    }

    /// Returns the duration from `earlier` to this point, or zero if `earlier` is later.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.get().saturating_sub(earlier.0.get()))
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

impl Default for Time {
    fn default() -> Self {
        Time::ZERO
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.as_micros() / 1_000_000, self.as_micros() % 1_000_000)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Time").field(&self.as_micros()).finish()
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
    fn an_optional_time_takes_as_much_memory_as_a_time() {
        assert_eq!((size_of::<Time>(), size_of::<Option<Time>>()), (8, 8));
        assert_eq!((Time::from_micros(7).as_micros(), format!("{:?}", Time::default())), (7, "Time(0)".to_owned()));
    }

    #[test]
    fn the_duration_since_a_later_point_is_zero() {
        assert_eq!(Time::ZERO.since(Time::from_micros(5)), Duration::ZERO);
    }
}
