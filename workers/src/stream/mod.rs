//! Streams of items between a handler and its caller.
//!
//! `channel` connects a handler with the I/O thread; `incoming` and `outgoing` are its two directions in the public API.

mod channel;
mod incoming;
mod into_response;
mod outgoing;

pub use self::{channel::StreamChannel, incoming::Incoming, into_response::IntoResponse, outgoing::Outgoing};
pub(crate) use self::{
    channel::{Received, StreamCommand, StreamCommands},
    outgoing::check_item,
};
