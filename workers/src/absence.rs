//! A broker that is not there: told once, however long that lasts.

use std::time::Duration;

use callboard_core::time::Time;
use tracing::{debug, dispatcher, warn};

/// How long a worker is without a broker before that is said on stderr, where nobody reads the log: a broker that is started again,
/// or just after its workers, is there before.
const PATIENCE: Duration = Duration::from_secs(2);

/// The time without a broker, and what was said of it.
#[derive(Debug, Default)]
pub(crate) struct Absence {
    since: Option<Time>,
    on_stderr: bool,
}

impl Absence {
    /// Why the worker is still without a broker: one that stays away is not a line a second.
    pub(crate) fn tell(&mut self, now: Time, address: &str, why: &str, running: usize) {
        if self.since.is_none() {
            warn!(address, why, running, "not connected to the broker; trying again");
        } else {
            debug!(address, why, running, "still not connected to the broker");
        }
        // A program without a log would wait in silence, and who has started it by hand would wonder.
        if self.is_long(now) && !dispatcher::has_been_set() {
            let why: String = why.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect();
            eprintln!("callboard: this worker is without a broker and keeps trying: {why}");
        }
    }

    /// The broker is there.
    pub(crate) fn end(&mut self) {
        *self = Absence::default();
    }

    /// Whether it is long enough for a line on stderr: true once.
    fn is_long(&mut self, now: Time) -> bool {
        let since = *self.since.get_or_insert(now);
        now.since(since) >= PATIENCE && !std::mem::replace(&mut self.on_stderr, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_absence_is_long_once_and_a_new_one_again() {
        let mut absence = Absence::default();
        let mut is_long_at = |seconds| absence.is_long(Time::ZERO + Duration::from_secs(seconds));
        assert_eq!([0, 1, 2, 3, 9].map(&mut is_long_at), [false, false, true, false, false]);
        absence.end();
        assert!(!absence.is_long(Time::ZERO + Duration::from_secs(10)));
        assert!(absence.is_long(Time::ZERO + Duration::from_secs(12)));
    }
}
