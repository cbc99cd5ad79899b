//! Outcomes on their way from the link thread to whom they concern.

use std::sync::Arc;

use bytes::Bytes;
use callboard_core::time::Time;
use tokio::sync::oneshot;

use crate::{
    call_error::CallError,
    callbacks::{Job, Pending},
    shared::Lines,
    teller::Teller,
};

/// The outcomes of a turn. They are told at its end, together: each wake-up across threads costs as much as some twenty calls.
pub(crate) struct Outcomes {
    /// Empty between turns, as is `awaited`; kept so that its memory is.
    jobs: Vec<Job>,
    awaited: Vec<Awaited>,
    lines: Arc<Lines>,
    teller: Option<Teller>,
}

/// The outcome of a call that somebody awaits.
#[derive(Debug)]
pub(crate) struct Awaited {
    pub(crate) caller: oneshot::Sender<Result<Bytes, CallError>>,
    pub(crate) outcome: Result<Bytes, CallError>,
}

impl Awaited {
    /// Tells it, which wakes the caller.
    pub(crate) fn tell(self) {
        // An error is a caller that has just gone.
        let _ = self.caller.send(self.outcome);
    }
}

impl Outcomes {
    pub(crate) fn new(lines: Arc<Lines>, teller: Option<Teller>) -> Outcomes {
        Outcomes { jobs: Vec::new(), awaited: Vec::new(), lines, teller }
    }

    /// A callback is to run.
    pub(crate) fn call_back(&mut self, pending: Pending, outcome: Result<Bytes, CallError>) {
        self.jobs.extend(pending.with(outcome));
    }

    /// An awaiting caller is to be told.
    pub(crate) fn answer(&mut self, awaited: Awaited) {
        self.awaited.push(awaited);
    }

    /// Tells what is there.
    pub(crate) fn tell(&mut self, now: Time) {
        match &mut self.teller {
            Some(teller) if self.awaited.len() > 1 => teller.tell(&mut self.awaited, now),
            _ => self.awaited.drain(..).for_each(Awaited::tell),
        }
        // The thread of the callbacks lives until we close it.
        let _ = self.lines.callbacks.push(&mut self.jobs);
    }

    /// Tells what was left to a teller who did not come.
    pub(crate) fn look(&mut self, now: Time) {
        if let Some(teller) = &mut self.teller {
            teller.look(now);
        }
    }

    /// Tells all that is left: there will be no more.
    pub(crate) fn end(&mut self, now: Time) {
        self.teller = None;
        self.tell(now);
    }
}
