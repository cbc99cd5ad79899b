//! What the client tells its operator: a driver logs it, nothing depends on it.

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

/// Something worth a line in the log.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Diagnostic {
    /// The broker let the client in.
    Connected {
        /// The broker.
        broker: BrokerId,
        /// This start of it.
        start: StartId,
        /// Calls that are open from an earlier connection, and are sent again.
        open: usize,
    },
    /// The connection to the broker is over; the client comes back by itself.
    Disconnected {
        /// What happened.
        reason: DisconnectReason,
        /// Calls that are open.
        open: usize,
    },
    /// A reply to a call that nobody waits for any more: cancelled, expired, or answered before.
    LateReply(CallNumber),
    /// A cast was given up before it was sent.
    CastDropped {
        /// What was cast.
        method: MethodName,
        /// Why.
        failure: Box<Failure>,
    },
    /// The broker, or the worker behind it, broke the rules of a call's stream.
    StreamBroken(CallNumber, String),
    /// An envelope of the broker's could not be read.
    InvalidEnvelope(EnvelopeError),
    /// An envelope that a broker has no business to send to a client, or not now.
    UnexpectedMessage(Kind),
}

/// What the machine counts, since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls that were wished for, casts not among them.
    pub calls: u64,
    /// Casts that were wished for.
    pub casts: u64,
    /// Casts that were given up before they were sent.
    pub casts_dropped: u64,
    /// Calls that ended with a result.
    pub answered: u64,
    /// Calls that ended with a failure, whoever said so.
    pub failed: u64,
    /// Of these, calls whose time was up by the client's own clock.
    pub expired: u64,
    /// Calls that their caller gave up.
    pub cancelled: u64,
    /// Calls that were sent again after a reconnect.
    pub resent: u64,
    /// Items that came from handlers.
    pub items_in: u64,
    /// Items that went to handlers.
    pub items_out: u64,
    /// Streams whose rules the other side broke.
    pub streams_broken: u64,
    /// Items, credit and progress of calls that were over.
    pub late_items: u64,
    /// Replies that nobody waited for any more.
    pub late: u64,
    /// Envelopes that could not be read or had no place.
    pub invalid_envelopes: u64,
    /// Times that the broker let the client in.
    pub connections: u64,
}
