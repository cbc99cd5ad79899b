//! The diagnostics and counters of the client. The driver logs the diagnostics; nothing depends on them.

use crate::{
    peer::DisconnectReason,
    wire::{
        bundle::EnvelopeError,
        ids::{BrokerId, CallNumber, StartId},
        kind::Kind,
        method::MethodName,
        status::Failure,
    },
};

/// An event for the log.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Diagnostic {
    /// The client is connected.
    Connected {
        /// The broker.
        broker: BrokerId,
        /// The start of the broker.
        start: StartId,
        /// How many calls of an earlier connection are open, and are sent again.
        open: usize,
    },
    /// The connection to the broker has ended. The client reconnects by itself.
    Disconnected {
        /// Why it ended.
        reason: DisconnectReason,
        /// How many calls are open.
        open: usize,
    },
    /// A reply arrived for a call that has ended: it was cancelled, expired or answered before.
    LateReply(CallNumber),
    /// A cast was dropped before it was sent.
    CastDropped {
        /// Its method.
        method: MethodName,
        /// Why.
        failure: Box<Failure>,
    },
    /// The broker, or the worker behind it, violated the rules of a call's stream.
    StreamViolation(CallNumber, String),
    /// An envelope could not be decoded.
    InvalidEnvelope(EnvelopeError),
    /// An envelope is not allowed from a broker to a client, or not in this state.
    UnexpectedMessage(Kind),
}

/// The counters of the machine, since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls that were made, without casts.
    pub calls: u64,
    /// Casts that were made.
    pub casts: u64,
    /// Casts that were dropped before they were sent.
    pub casts_dropped: u64,
    /// Calls that ended with a result.
    pub answered: u64,
    /// Calls that ended with a failure of the client, the broker or the worker.
    pub failed: u64,
    /// Of these, calls that expired by the client's clock.
    pub expired: u64,
    /// Calls that were cancelled by their caller.
    pub cancelled: u64,
    /// Calls that were sent again after a reconnect.
    pub resent: u64,
    /// Items that were received from handlers.
    pub items_in: u64,
    /// Items that were sent to handlers.
    pub items_out: u64,
    /// Streams whose rules the broker or the worker violated.
    pub stream_violations: u64,
    /// Items, credit and progress that arrived for calls that had ended.
    pub late_items: u64,
    /// Replies that arrived for calls that had ended.
    pub late_replies: u64,
    /// Envelopes that could not be decoded or were unexpected.
    pub invalid_envelopes: u64,
    /// How often the client was connected.
    pub connections: u64,
}
