//! Whom a call's outcome concerns.

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::{
    call_error::CallError,
    callbacks::{Job, Pending},
    pipe::PipeEnd,
};

/// What the client machine keeps of a call: the way to its caller.
#[derive(Debug)]
pub(crate) enum Responder {
    /// Somebody awaits it.
    Await(oneshot::Sender<Result<Bytes, CallError>>),
    /// A callback waits for it.
    Callback(Pending),
    /// It has streams: their pipe.
    Stream(PipeEnd),
    /// Nobody: it is a cast.
    Nobody,
}

impl Responder {
    /// Whether its caller gave the call up.
    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            Responder::Await(sender) => sender.is_closed(),
            Responder::Stream(end) => end.pipe.is_abandoned(),
            Responder::Callback(_) | Responder::Nobody => false,
        }
    }

    /// Tells the outcome: an awaiting caller at once, a callback by adding it to the turn's `jobs`.
    pub(crate) fn resolve(self, outcome: Result<Bytes, CallError>, jobs: &mut Vec<Job>) {
        match self {
            // An error is a caller that has just gone.
            Responder::Await(sender) => drop(sender.send(outcome)),
            Responder::Callback(pending) => jobs.extend(pending.with(outcome)),
            Responder::Stream(end) => end.pipe.end(outcome),
            Responder::Nobody => {}
        }
    }
}
