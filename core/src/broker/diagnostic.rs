//! What the machine tells its operator: a driver logs it, nothing depends on it.

use bytestring::ByteString;

use super::handshake::AuthenticationFailure;
use crate::wire::{
    bundle::EnvelopeError,
    handshake::Role,
    ids::{CallId, ConnectionId},
    status::{Code, Failure},
};

/// Something worth a line in the log.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Diagnostic {
    /// A client came, for the first time or again.
    ClientJoined {
        /// Its connection.
        connection: ConnectionId,
        /// Its name for people.
        name: String,
        /// Whether the session was known.
        again: bool,
        /// The id of its key, if it has one.
        key: Option<String>,
    },
    /// A client is gone, and its calls with it.
    ClientGone {
        /// Its name for people.
        name: String,
        /// Calls that were still open.
        open: usize,
    },
    /// A worker registered.
    WorkerJoined {
        /// Its connection.
        connection: ConnectionId,
        /// Its instance name.
        name: ByteString,
        /// The services it offers.
        services: Vec<String>,
        /// The id of its key, if it has one.
        key: Option<String>,
    },
    /// A newcomer is a stranger: it is sent away in a moment.
    Unauthenticated {
        /// Its connection.
        connection: ConnectionId,
        /// What was wrong.
        why: AuthenticationFailure,
    },
    /// A newcomer proved that it knows a key, which is not for what it wants to be. It is sent away.
    NotPermitted {
        /// Its connection.
        connection: ConnectionId,
        /// The id of its key, if it has one.
        key: Option<String>,
        /// What it wanted to be.
        role: Role,
    },
    /// A worker takes no more calls.
    WorkerDraining {
        /// Its instance name.
        name: ByteString,
    },
    /// A worker left in order.
    WorkerLeft {
        /// Its instance name.
        name: ByteString,
    },
    /// A worker was lost.
    WorkerLost {
        /// Its instance name.
        name: ByteString,
        /// What happened.
        why: &'static str,
        /// Calls that it had.
        running: usize,
    },
    /// A call runs longer than its method's soft limit.
    Slow {
        /// The call.
        call: CallId,
        /// What was called.
        method: String,
        /// Where it runs.
        worker: ByteString,
    },
    /// A worker has not stopped a handler that ran past its hard limit.
    WorkerUnresponsive {
        /// Its instance name.
        name: ByteString,
        /// The call that it is stuck with.
        call: CallId,
        /// What was called.
        method: String,
    },
    /// A call goes to another worker.
    Retried {
        /// The call.
        call: CallId,
        /// Workers lost with it so far.
        lost: u32,
    },
    /// A peer broke the rules of a call's stream, and the call was ended.
    StreamBroken {
        /// The call.
        call: CallId,
        /// Whether its worker did; else its client.
        by_worker: bool,
        /// What was wrong.
        how: String,
    },
    /// A call is kept as a dead letter: its workers were lost with it, and nobody may try again.
    DeadLettered {
        /// The call.
        call: CallId,
        /// What was called.
        method: String,
        /// Workers lost with it.
        lost: u32,
    },
    /// A cast failed: nobody else is told.
    CastFailed {
        /// The call.
        call: CallId,
        /// What was cast.
        method: String,
        /// How it failed.
        failure: Box<Failure>,
    },
    /// A peer was sent away.
    Disconnected {
        /// Its connection.
        connection: ConnectionId,
        /// The code it was told.
        code: Code,
        /// The sentence it was told.
        message: ByteString,
    },
    /// An envelope could not be read or has no place here.
    Refused {
        /// Where it came from.
        connection: ConnectionId,
        /// What was wrong.
        refused: EnvelopeError,
    },
}

/// What the machine counts, since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counters {
    /// Requests that were accepted.
    pub calls: u64,
    /// Of these, casts.
    pub casts: u64,
    /// Calls that were answered with a result.
    pub answered: u64,
    /// Calls that were answered with a failure.
    pub failed: u64,
    /// Casts that failed.
    pub casts_failed: u64,
    /// Calls that were cancelled, or whose client was gone.
    pub cancelled: u64,
    /// Dispatches to workers.
    pub dispatches: u64,
    /// Calls that were placed again after the loss of their worker.
    pub repeated: u64,
    /// Calls that were kept as dead letters.
    #[serde(default)]
    pub buried: u64,
    /// Calls that were refused because a queue was full, or what waits in it too old.
    #[serde(default)]
    pub queue_full: u64,
    /// Workers that were lost: they left without a goodbye, or were sent away.
    #[serde(default)]
    pub workers_lost: u64,
    /// Requests that were known already.
    pub duplicates: u64,
    /// Words of workers on calls that are not theirs (any more).
    pub stale: u64,
    /// Items that went through, in either direction.
    #[serde(default)]
    pub items: u64,
    /// Streams whose rules a peer broke.
    #[serde(default)]
    pub streams_broken: u64,
    /// Envelopes that could not be read or had no place.
    pub refused: u64,
    /// Peers that were sent away.
    pub sent_away: u64,
    /// Peers that did not prove that they know a key.
    pub unauthenticated: u64,
}
