//! The error of closing a client.

use std::fmt;

/// What a close could not complete within its timeout. The client is closed nevertheless. `Debug` prints the message too, for a
/// `main` that returns the error.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// Casts were dropped before they were sent. Holds their number.
    #[error("{0} casts could not be sent before the client was closed")]
    CastsDropped(u64),
    /// The broker did not confirm that all messages arrived. The last casts may be lost.
    #[error("the broker did not confirm the client's goodbye in time: the last casts may not have arrived")]
    Unconfirmed,
    /// Callbacks have not finished. They continue to run, unless the process ends.
    #[error("the client is closed, but some callbacks did not finish in time")]
    CallbacksRunning,
}

impl fmt::Debug for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
