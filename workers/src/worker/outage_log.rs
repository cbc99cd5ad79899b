//! The log of an outage: one warning for each time without a broker, however long it lasts.

use std::time::Duration;

use callboard_core::time::Time;
use tracing::{debug, dispatcher, warn};

use crate::log;

/// How long a worker is disconnected before it prints that to standard error, if the program has no log. A broker that restarts, or
/// starts just after its workers, is connected before that.
const STDERR_DELAY: Duration = Duration::from_secs(2);

/// The current outage, and which reports of it were made.
#[derive(Debug, Default)]
pub(super) struct OutageLog {
    since: Option<Time>,
    on_stderr: bool,
}

impl OutageLog {
    /// Logs why the worker is disconnected. Only the first report of an outage is a warning, because each failed
    /// attempt to connect reports it again.
    pub(super) fn report(&mut self, now: Time, address: &str, reason: &str, running: usize) {
        if self.since.is_none() {
            warn!(target: log::WORKER, address, reason, running, "not connected to the broker; trying again");
        } else {
            debug!(target: log::WORKER, address, reason, running, "still not connected to the broker");
        }
        // Without a log, a worker that was started by hand would wait without any output.
        if self.is_long(now) && !dispatcher::has_been_set() {
            let reason: String = reason.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect();
            eprintln!("callboard: this worker is not connected to a broker and keeps trying: {reason}");
        }
    }

    /// Ends the outage.
    pub(super) fn end(&mut self) {
        *self = OutageLog::default();
    }

    /// Returns whether the outage is long enough for a line on standard error: true once.
    fn is_long(&mut self, now: Time) -> bool {
        let since = *self.since.get_or_insert(now);
        now.since(since) >= STDERR_DELAY && !std::mem::replace(&mut self.on_stderr, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_outage_is_printed_once_and_a_new_one_again() {
        let mut outage_log = OutageLog::default();
        let mut is_long_at = |seconds| outage_log.is_long(Time::ZERO + Duration::from_secs(seconds));
        assert_eq!([0, 1, 2, 3, 9].map(&mut is_long_at), [false, false, true, false, false]);
        outage_log.end();
        assert!(!outage_log.is_long(Time::ZERO + Duration::from_secs(10)));
        assert!(outage_log.is_long(Time::ZERO + Duration::from_secs(12)));
    }
}
