//! What the worker tells its operator: a driver logs it, nothing depends on it.

use super::JobId;
use crate::{
    peer::DisconnectReason,
    wire::{
        bundle::EnvelopeError,
        ids::{BrokerId, CallId, StartId},
        kind::Kind,
        method::MethodName,
    },
};

/// Something worth a line in the log.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Diagnostic {
    /// The broker let the worker in, and has taken its registration.
    Registered {
        /// The broker.
        broker: BrokerId,
        /// This start of it.
        start: StartId,
        /// Calls of an earlier connection that still run here.
        running: usize,
    },
    /// The connection to the broker is over; the worker comes back by itself, unless it drains.
    Disconnected {
        /// What happened.
        reason: DisconnectReason,
        /// Calls that run on; their outcomes will be dropped.
        running: usize,
    },
    /// A call came for a method that this worker does not have.
    UnknownMethod(MethodName),
    /// More calls came than this worker has room for.
    Overrun(CallId),
    /// The broker broke the rules of a call's stream.
    StreamBroken(JobId, String),
    /// An outcome was dropped: the connection that its call came on is over.
    OutcomeDropped(CallId),
    /// An envelope of the broker's could not be read.
    InvalidEnvelope(EnvelopeError),
    /// An envelope that a broker has no business to send to a worker, or not now.
    UnexpectedMessage(Kind),
}

/// What the machine counts, since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Dispatches that arrived.
    pub dispatches: u64,
    /// Handlers that were started.
    pub run: u64,
    /// Handlers that ended with a result.
    pub answered: u64,
    /// Handlers that ended with a failure.
    pub failed: u64,
    /// Handlers that were told to stop.
    pub stopped: u64,
    /// Calls whose time was up before a handler could start.
    pub expired: u64,
    /// Calls that were given back unstarted.
    pub handed_back: u64,
    /// Outcomes that were dropped, because the connection of their call was over.
    pub outcomes_dropped: u64,
    /// Items that came from callers.
    pub items_in: u64,
    /// Items that went to callers.
    pub items_out: u64,
    /// Items and credit of calls that had ended.
    pub late: u64,
    /// Streams whose rules the broker broke.
    pub streams_broken: u64,
    /// Envelopes that could not be read or had no place.
    pub invalid_envelopes: u64,
    /// Times that the broker let the worker in.
    pub connections: u64,
}
