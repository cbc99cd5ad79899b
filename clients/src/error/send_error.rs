//! The error of sending an item.

use std::fmt;

use callboard_core::wire::limits::ITEM_BYTES_MAX;

/// The error of an item that was not sent. `Debug` prints the message too, for a `main` that returns the error.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The call has ended. Its outcome is the reason.
    #[error("the call has ended: see its outcome for the reason")]
    Closed,
    /// The item cannot be encoded as CBOR.
    #[error("cannot encode the item: {0}")]
    Encode(String),
    /// The item is too large. Holds its size in bytes.
    #[error("an item of {0} bytes exceeds the limit of {ITEM_BYTES_MAX}: send it in parts")]
    TooLarge(usize),
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
