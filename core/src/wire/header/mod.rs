//! The codec of headers. It is hand-written, because a header is written for every hop of every call: it converts between
//! a typed [`Envelope`](super::Envelope) and bytes, without a map in between.
//!
//! | file | what it holds |
//! |---|---|
//! | `keys` | the registry of header keys, and the keys of each kind |
//! | `recipient` | the side that reads, which selects the keys |
//! | `write` | envelopes to bytes |
//! | `read`, `typed` | bytes to numbers and offsets in one pass, and these to an envelope |
//! | `skip` | finds the end of an invalid header, so that later envelopes are not affected |
//! | `extensions`, `timings`, `handler_time` | keys from 64 on, and those that the broker and workers write |
//! | `cursor`, `head` | a strict reader of CBOR tokens, and the head of an item |
//! | `error` | why an envelope is not accepted |
//!
//! A general CBOR decoder is not an alternative: the available ones also accept an encoding that is not deterministic, and do
//! not report it.

mod cursor;
mod error;
mod extensions;
mod handler_time;
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
