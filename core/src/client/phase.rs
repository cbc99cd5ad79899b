//! The phases of a client's life.

use crate::{time::Time, wire::status::Failure};

/// The phase of a client's life.
#[derive(Debug)]
pub(super) enum Phase {
    /// The client accepts calls.
    Running,
    /// The client accepts no calls. It sends the waiting casts, then goodbye.
    Closing { deadline: Time },
    /// The broker rejected this client; further calls end with this failure.
    Rejected(Box<Failure>),
    /// The client has ended.
    Closed,
}

impl Phase {
    /// Returns when the phase ends by itself, if it does.
    pub(super) fn deadline(&self) -> Option<Time> {
        match self {
            Phase::Closing { deadline } => Some(*deadline),
            Phase::Running | Phase::Rejected(_) | Phase::Closed => None,
        }
    }
}
