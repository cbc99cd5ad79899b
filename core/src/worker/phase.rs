//! The phases of a worker's life.

use crate::time::Time;

/// The phase of a worker's life.
#[derive(Debug)]
pub(super) enum Phase {
    /// The worker accepts calls.
    Serving,
    /// The worker accepts no calls. The running ones finish, then it sends goodbye.
    Draining {
        /// When to stop the handlers that still run.
        deadline: Time,
        /// The ping behind the drain, until its pong arrives. Before the pong, calls that the broker sent before it read the
        /// drain may still arrive: goodbye must wait, or it would lose them.
        ping: Option<u64>,
    },
    /// Goodbye was sent.
    Closing,
    /// The broker rejected this worker.
    Rejected,
    /// The worker has ended.
    Closed,
}

impl Phase {
    /// Returns when the phase ends by itself, if it does.
    pub(super) fn deadline(&self) -> Option<Time> {
        match self {
            Phase::Draining { deadline, .. } => Some(*deadline),
            // The deadline of `Closing` is kept by the peer.
            Phase::Serving | Phase::Closing | Phase::Rejected | Phase::Closed => None,
        }
    }

    /// Returns whether the worker is draining.
    pub(super) fn is_draining(&self) -> bool {
        matches!(self, Phase::Draining { .. })
    }

    /// Returns whether the worker has ended.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Phase::Closed)
    }
}
