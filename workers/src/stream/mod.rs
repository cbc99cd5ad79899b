//! Streams of items between a handler and its caller.
//!
//! `channel` connects a handler with the I/O thread; `incoming` and `outgoing` are its two directions in the public API.

mod channel;
mod incoming;
mod into_response;
mod outgoing;

pub(crate) use self::channel::{StreamCommand, StreamCommands};
pub use self::{channel::StreamChannel, incoming::Incoming, into_response::IntoResponse, outgoing::Outgoing};
