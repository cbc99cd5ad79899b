//! What a client has counted.

use callboard_core::client::Counters;

/// What a client has counted since its start, and how much is on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Calls that were taken, casts not among them.
    pub calls: u64,
    /// Casts that were taken.
    pub casts: u64,
    /// Casts that were given up before they were sent: their time was up, or the client was closed.
    pub casts_dropped: u64,
    /// Calls that ended with a result.
    pub answered: u64,
    /// Calls that ended with a failure, whoever said so.
    pub failed: u64,
    /// Of these, calls whose time was up by the client's own clock.
    pub expired: u64,
    /// Calls that their caller gave up.
    pub cancelled: u64,
    /// Calls that were sent again after a reconnect.
    pub resent: u64,
    /// Replies that nobody waited for any more; they were dropped.
    pub late: u64,
    /// Envelopes of the broker's that could not be read or had no place.
    pub refused: u64,
    /// Times that a broker let the client in: above 1 by the number of reconnects.
    pub connections: u64,
    /// Callbacks that ran.
    pub callbacks_run: u64,
    /// Of these, callbacks that panicked.
    pub callbacks_panicked: u64,
    /// Calls and casts that wait in the client now, for credit or a connection.
    pub waiting: usize,
    /// Calls that were sent and have no outcome yet.
    pub open: usize,
}

impl Statistics {
    /// What the machine has counted; of callbacks it knows nothing.
    pub(crate) fn of_machine(counters: &Counters, waiting: usize, open: usize) -> Statistics {
        Statistics {
            calls: counters.calls,
            casts: counters.casts,
            casts_dropped: counters.casts_dropped,
            answered: counters.answered,
            failed: counters.failed,
            expired: counters.expired,
            cancelled: counters.cancelled,
            resent: counters.resent,
            late: counters.late,
            refused: counters.invalid_envelopes,
            connections: counters.connections,
            waiting,
            open,
            ..Statistics::default()
        }
    }
}
