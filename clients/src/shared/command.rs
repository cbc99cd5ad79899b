//! The commands from the handles of a client to its I/O thread.

use callboard_core::client::{NewCall, Ticket};

use crate::{completion::reply_sink::ReplySink, stream::command::StreamCommand};

/// A command to the I/O thread.
#[derive(Debug)]
pub(crate) enum Command {
    /// Make a call.
    Call(NewCall<ReplySink>),
    /// Cancel a call.
    Cancel(Ticket),
    /// Continue a call with streams.
    Stream(StreamCommand),
    /// Close the client.
    Close,
}
