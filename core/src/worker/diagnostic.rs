//! The diagnostics and counters of the worker. The driver logs the diagnostics; nothing depends on them.

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

/// An event for the log.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Diagnostic {
    /// The worker is connected, and the broker has accepted its registration.
    Registered {
        /// The broker.
        broker: BrokerId,
        /// The start of the broker.
        start: StartId,
        /// How many calls of earlier connections still run.
        running: usize,
    },
    /// The connection to the broker has ended. The worker reconnects by itself, unless it drains.
    Disconnected {
        /// Why it ended.
        reason: DisconnectReason,
        /// How many calls continue to run. Their outcomes will be dropped.
        running: usize,
    },
    /// A call arrived for a method that this worker does not have.
    UnknownMethod(MethodName),
    /// A call arrived while all slots and the prefetch were taken.
    Overrun(CallId),
    /// The broker violated the rules of a call's stream.
    StreamViolation(JobId, String),
    /// An outcome was dropped: the connection of its call has ended.
    OutcomeDropped(CallId),
    /// An envelope could not be decoded.
    InvalidEnvelope(EnvelopeError),
    /// An envelope is not allowed from a broker to a worker, or not in this state.
    UnexpectedMessage(Kind),
}

/// The counters of the machine, since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Dispatches that arrived.
    pub dispatches: u64,
    /// Handlers that were started.
    pub started: u64,
    /// Handlers that ended with a result.
    pub answered: u64,
    /// Handlers that ended with a failure.
    pub failed: u64,
    /// Handlers that were asked to stop.
    pub stopped: u64,
    /// Calls that expired before a handler could start.
    pub expired: u64,
    /// Calls that were handed back.
    pub handed_back: u64,
    /// Outcomes that were dropped because the connection of their call had ended.
    pub outcomes_dropped: u64,
    /// Items that were received from callers.
    pub items_in: u64,
    /// Items that were sent to callers.
    pub items_out: u64,
    /// Items and credit that arrived for calls that had ended.
    pub late_items: u64,
    /// Streams whose rules the broker violated.
    pub stream_violations: u64,
    /// Envelopes that could not be decoded or were unexpected.
    pub invalid_envelopes: u64,
    /// How often the worker was connected.
    pub connections: u64,
}
