//! The counters of a client.

use callboard_core::client::Counters;

/// The counters of a client since its creation, and its pending calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Calls that were accepted, without casts.
    pub calls: u64,
    /// Casts that were accepted.
    pub casts: u64,
    /// Casts that were dropped before they were sent: their timeout passed, or the client was closed.
    pub casts_dropped: u64,
    /// Calls that ended with a result.
    pub answered: u64,
    /// Calls that ended with an error, from any source.
    pub failed: u64,
    /// Of these, calls whose timeout passed by the client's own clock.
    pub expired: u64,
    /// Calls that their caller cancelled.
    pub cancelled: u64,
    /// Calls that were sent again after a reconnect.
    pub resent: u64,
    /// Replies that arrived after their call had ended. They were dropped.
    pub late: u64,
    /// Envelopes of the broker that were invalid or unexpected.
    pub refused: u64,
    /// Completed handshakes with a broker: one more than the number of reconnects.
    pub connections: u64,
    /// Callbacks that ran.
    pub callbacks_run: u64,
    /// Of these, callbacks that panicked.
    pub callbacks_panicked: u64,
    /// Calls and casts that wait in the client for credit or a connection at this moment.
    pub waiting: usize,
    /// Calls that were sent and have no outcome at this moment.
    pub open: usize,
}

impl Statistics {
    /// Creates the counters from those of the machine, which does not count callbacks.
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
            late: counters.late_replies,
            refused: counters.invalid_envelopes,
            connections: counters.connections,
            waiting,
            open,
            ..Statistics::default()
        }
    }
}
