//! Diagnostics for the operator. The driver logs them; nothing depends on them.

use std::time::Duration;

use bytestring::ByteString;

use super::super::handshake::AuthenticationFailure;
use crate::wire::{
    bundle::EnvelopeError,
    handshake::Role,
    ids::{CallId, ConnectionId},
    status::{Code, Failure, Timings},
};

/// A diagnostic of the broker. Peers can cause each of them, as often as they like, so the driver limits how many it logs.
///
/// It is exhaustive, so that a driver cannot miss one.
#[derive(Clone, Debug, PartialEq)]
pub enum Diagnostic {
    /// A client connected.
    ClientConnected {
        /// Its connection.
        connection: ConnectionId,
        /// Its instance name.
        name: String,
        /// Whether its session was known.
        again: bool,
        /// The id of its key, if it has one.
        key: Option<String>,
    },
    /// A client's session ended, and with it its calls.
    SessionEnded {
        /// The client's instance name.
        name: String,
        /// Calls that were still open.
        open: usize,
    },
    /// A worker registered.
    WorkerRegistered {
        /// Its connection.
        connection: ConnectionId,
        /// Its instance name.
        name: ByteString,
        /// Its pool, if it has one.
        pool: Option<String>,
        /// The services that it offers.
        services: Vec<String>,
        /// The id of its key, if it has one.
        key: Option<String>,
    },
    /// A peer could not be authenticated. It is disconnected after a delay.
    Unauthenticated {
        /// Its connection.
        connection: ConnectionId,
        /// What was wrong.
        why: AuthenticationFailure,
    },
    /// A peer proved a key that does not allow its role. It is disconnected.
    NotPermitted {
        /// Its connection.
        connection: ConnectionId,
        /// The id of its key, if it has one.
        key: Option<String>,
        /// The role that it requested.
        role: Role,
    },
    /// A client called a method that it may not call.
    CallDenied {
        /// Its connection.
        connection: ConnectionId,
        /// The peer's name, and the right that is missing.
        why: ByteString,
    },
    /// An operator changed something.
    Operated {
        /// The operator's connection.
        connection: ConnectionId,
        /// The name of the operator's key, if it has one.
        key: Option<String>,
        /// The method of the service `callboard`, and its target.
        what: String,
    },
    /// A worker takes no more calls.
    WorkerDraining {
        /// Its instance name.
        name: ByteString,
        /// Its pool, if it has one.
        pool: Option<String>,
    },
    /// A worker sent a goodbye after it had finished its calls.
    WorkerDeregistered {
        /// Its instance name.
        name: ByteString,
        /// Its pool, if it has one.
        pool: Option<String>,
    },
    /// A worker was lost.
    WorkerLost {
        /// Its instance name.
        name: ByteString,
        /// What happened.
        why: &'static str,
        /// Calls that it was running.
        running: usize,
    },
    /// A call runs longer than its method's soft limit.
    SlowCall {
        /// The call.
        call: CallId,
        /// The called method.
        method: String,
        /// The worker that runs it.
        worker: ByteString,
    },
    /// A call took longer than [`Settings::slow_call`](super::Settings::slow_call). It has its outcome.
    CallWasSlow {
        /// The call.
        call: CallId,
        /// The called method.
        method: String,
        /// The worker that had it last. Empty if it was at none.
        worker: ByteString,
        /// How often it was sent to a worker.
        attempts: u32,
        /// How long it waited, and how long it was at workers.
        timings: Timings,
        /// How long its handler ran, if the worker measured it. The rest of the time at the worker it waited there or travelled.
        handler: Option<Duration>,
    },
    /// A worker has not stopped a handler that ran past its hard limit.
    WorkerUnresponsive {
        /// Its instance name.
        name: ByteString,
        /// The call that it does not stop.
        call: CallId,
        /// The called method.
        method: String,
    },
    /// A call is sent to another worker, because its worker was lost.
    Retried {
        /// The call.
        call: CallId,
        /// Workers that were lost with it.
        lost: u32,
    },
    /// A peer violated the rules of a call's stream, and the call was ended.
    StreamBroken {
        /// The call.
        call: CallId,
        /// Whether its worker violated them; otherwise its client did.
        by_worker: bool,
        /// What was wrong.
        how: String,
    },
    /// A call became a dead letter: its workers were lost with it, and no further attempt is allowed.
    DeadLettered {
        /// The call.
        call: CallId,
        /// The called method.
        method: String,
        /// Workers that were lost with it.
        lost: u32,
    },
    /// A cast failed. Its client is not informed.
    CastFailed {
        /// The call.
        call: CallId,
        /// The called method.
        method: String,
        /// How it failed.
        failure: Box<Failure>,
    },
    /// The broker disconnected a peer.
    Disconnected {
        /// Its connection.
        connection: ConnectionId,
        /// The code that was sent to it.
        code: Code,
        /// The message that was sent to it.
        message: ByteString,
    },
    /// An envelope could not be read.
    UnreadableEnvelope {
        /// The connection that it came from.
        connection: ConnectionId,
        /// What was wrong.
        refused: EnvelopeError,
    },
}

impl Diagnostic {
    /// Returns a short name, the same for all values of a variant.
    pub const fn name(&self) -> &'static str {
        match self {
            Diagnostic::ClientConnected { .. } => "client-connected",
            Diagnostic::SessionEnded { .. } => "session-ended",
            Diagnostic::WorkerRegistered { .. } => "worker-registered",
            Diagnostic::Unauthenticated { .. } => "unauthenticated",
            Diagnostic::NotPermitted { .. } => "not-permitted",
            Diagnostic::CallDenied { .. } => "call-denied",
            Diagnostic::Operated { .. } => "operated",
            Diagnostic::WorkerDraining { .. } => "worker-draining",
            Diagnostic::WorkerDeregistered { .. } => "worker-deregistered",
            Diagnostic::WorkerLost { .. } => "worker-lost",
            Diagnostic::SlowCall { .. } => "slow-call",
            Diagnostic::CallWasSlow { .. } => "call-was-slow",
            Diagnostic::WorkerUnresponsive { .. } => "worker-unresponsive",
            Diagnostic::Retried { .. } => "retried",
            Diagnostic::StreamBroken { .. } => "stream-broken",
            Diagnostic::DeadLettered { .. } => "dead-lettered",
            Diagnostic::CastFailed { .. } => "cast-failed",
            Diagnostic::Disconnected { .. } => "disconnected",
            Diagnostic::UnreadableEnvelope { .. } => "unreadable-envelope",
        }
    }
}
