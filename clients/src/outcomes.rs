//! Outcomes on their way from the link thread to whom they concern.

use std::sync::Arc;

use bytes::Bytes;
use callboard_core::time::Time;
use callboard_transport::Clock;
use tokio::sync::oneshot;

use crate::{
    call_error::CallError,
    callbacks::{Job, Pending},
    shared::Lines,
    teller::Teller,
};

/// The outcomes of a turn. They are told at its end, together: each wake-up across threads costs as much as some twenty calls.
pub(crate) struct Outcomes {
    /// Empty between turns, as are `awaited` and `at_home`; kept so that its memory is.
    jobs: Vec<Job>,
    /// Of callers who are anywhere.
    awaited: Vec<Awaited>,
    /// Of callers on the teller's thread.
    at_home: Vec<Awaited>,
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
        Outcomes { jobs: Vec::new(), awaited: Vec::new(), at_home: Vec::new(), lines, teller }
    }

    /// A callback is to run.
    pub(crate) fn call_back(&mut self, pending: Pending, outcome: Result<Bytes, CallError>) {
        self.jobs.extend(pending.with(outcome));
    }

    /// An awaiting caller is to be told. `at_home`: he made his call on the teller's thread.
    pub(crate) fn answer(&mut self, awaited: Awaited, at_home: bool) {
        if at_home { self.at_home.push(awaited) } else { self.awaited.push(awaited) }
    }

    /// Tells what is there.
    pub(crate) fn tell(&mut self, clock: Clock) {
        match &mut self.teller {
            Some(teller) if self.at_home.len() > 1 => teller.tell(&mut self.at_home, clock),
            _ => self.at_home.drain(..).for_each(Awaited::tell),
        }
        self.awaited.drain(..).for_each(Awaited::tell);
        // The thread of the callbacks lives until we close it.
        let _ = self.lines.callbacks.push(&mut self.jobs);
    }

    /// When to [`look`](Outcomes::look), if there is something to look for.
    pub(crate) fn look_by(&mut self) -> Option<Time> {
        self.teller.as_mut()?.look_by()
    }

    /// Tells what was left to a teller who did not come in time.
    pub(crate) fn look(&mut self, now: Time) {
        if let Some(teller) = &mut self.teller {
            teller.look(now);
        }
    }

    /// Tells all that is left: there will be no more.
    pub(crate) fn end(&mut self, clock: Clock) {
        self.teller = None;
        self.tell(clock);
    }
}
