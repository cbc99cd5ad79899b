//! A dispatched call as its worker knows it.

use bytes::Bytes;

use crate::{
    time::Time,
    wire::{
        ids::{CallId, ConnectionNumber, DispatchNumber},
        limits::STARTED_AFTER,
    },
};

/// The name of one dispatched call at its worker, unique in one life of the worker: dispatch numbers count per start of
/// the broker, so the connection belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId {
    /// The connection it came on.
    pub connection: ConnectionNumber,
    /// The broker's number for it.
    pub dispatch: DispatchNumber,
}

/// A call for a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// What [`super::Event::Finished`] or [`super::Event::Stopped`] will name.
    pub id: JobId,
    /// Which offer of the registration.
    pub offer: usize,
    /// Which method of that offer.
    pub method: usize,
    /// The call as people see it.
    pub call: CallId,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When its time is up. The machine stops it then; a handler may want to know.
    pub deadline: Option<Time>,
    /// Header keys from 64 on, encoded.
    pub extensions: Bytes,
    /// The arguments: one CBOR item.
    pub body: Bytes,
}

/// A handler that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) offer: usize,
    pub(super) call: CallId,
    pub(super) attempt: u32,
    pub(super) deadline: Option<Time>,
    since: Time,
    /// When to look whether it has begun, so that the broker is told; `None` once it was.
    started_due: Option<Time>,
    /// Why it was told to stop, if it was.
    pub(super) stopped: Option<Stopped>,
}

/// Why a handler was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The caller is no longer interested.
    Cancelled,
    /// Its time is up.
    Expired,
    /// The worker ends, and will not wait for it any longer.
    Drained,
}

impl Running {
    pub(super) fn new(now: Time, job: &Job) -> Running {
        Running {
            offer: job.offer,
            call: job.call,
            attempt: job.attempt,
            deadline: job.deadline,
            since: now,
            started_due: Some(now + STARTED_AFTER),
            stopped: None,
        }
    }

    /// What is due of it next.
    pub(super) fn timer(&self) -> Option<Time> {
        let deadline = self.deadline.filter(|_| self.stopped.is_none());
        match (self.started_due, deadline) {
            (Some(started), Some(deadline)) => Some(started.min(deadline)),
            (started, deadline) => started.or(deadline),
        }
    }

    /// Whether to look now if it has begun. One that has not is looked at again after as long a time as it has had so far: a
    /// program that is slow to begin is not asked every moment.
    pub(super) fn starts_to_count(&mut self, now: Time) -> bool {
        let due = self.started_due.is_some_and(|at| at <= now);
        if due {
            self.started_due = Some(now + now.since(self.since).max(STARTED_AFTER));
        }
        due
    }

    /// It has begun. True once.
    pub(super) fn has_begun(&mut self) -> bool {
        self.started_due.take().is_some()
    }

    /// Whether its time is up, and it was not told to stop before.
    pub(super) fn expires(&self, now: Time) -> bool {
        self.stopped.is_none() && self.deadline.is_some_and(|deadline| deadline <= now)
    }
}
