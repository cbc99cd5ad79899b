//! What a close could not bring to its end.

use std::fmt;

/// What a close could not bring to its end within its time. The client is closed all the same. `Debug` is the sentence, too, for a
/// `main` that returns it.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// Casts could not be sent any more, so many.
    #[error("{0} casts could not be sent before the client was closed")]
    CastsDropped(u64),
    /// The broker did not say that all had arrived: casts that were sent last may be lost.
    #[error("the broker did not confirm the client's goodbye in time: what was sent last may not have arrived")]
    Unconfirmed,
    /// Callbacks have still to run. They will, unless the process ends before.
    #[error("callbacks still run: the client is closed, but not all of them have ended in time")]
    CallbacksRunning,
}

impl fmt::Debug for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
