//! Whom a call's outcome concerns.

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::{
    call_error::CallError,
    callbacks::Pending,
    outcomes::{Awaited, Outcomes},
    pipe::PipeEnd,
};

/// What the client machine keeps of a call: the way to its caller.
#[derive(Debug)]
pub(crate) enum Responder {
    /// Somebody awaits it, who made the call on the teller's thread or elsewhere.
    Await { caller: oneshot::Sender<Result<Bytes, CallError>>, at_home: bool },
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
            Responder::Await { caller, .. } => caller.is_closed(),
            Responder::Stream(end) => end.pipe.is_abandoned(),
            Responder::Callback(_) | Responder::Nobody => false,
        }
    }

    /// Ends the call: its outcome is told with those of the turn, of a call with streams at once.
    pub(crate) fn resolve(self, outcome: Result<Bytes, CallError>, outcomes: &mut Outcomes) {
        match self {
            Responder::Await { caller, at_home } => outcomes.answer(Awaited { caller, outcome }, at_home),
            Responder::Callback(pending) => outcomes.call_back(pending, outcome),
            Responder::Stream(end) => end.pipe.end(outcome),
            Responder::Nobody => {}
        }
    }
}
