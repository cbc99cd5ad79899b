//! The header codec, written by hand: a header is written for every hop of every call, so it goes from the typed
//! [`Envelope`](super::Envelope) to bytes and back with no map in between.
//!
//! `keys` is the registry of keys and says which kind has which. `write` writes; `read` goes over the bytes once and
//! keeps numbers and places, and `typed` makes an envelope of them. A header that was refused is passed over by
//! `skip`, so that it spoils no other.
//!
//! A general decoder would not do: those at hand read what is not deterministic, too, and would say nothing of it.

mod cursor;
mod error;
mod extensions;
mod head;
mod keys;
mod read;
mod recipient;
mod skip;
mod timings;
mod typed;
mod write;

pub use error::{EnvelopeError, EnvelopeErrorReason};
pub use recipient::Recipient;

#[cfg(test)]
pub(super) use keys::name as key_name;

pub(super) use cursor::{Cursor, EncodingError};
pub(super) use head::{major, write_head};
pub(super) use read::{Header, HeaderError};
pub(super) use write::write;
