//! A dispatched call as its worker knows it.

use bytes::Bytes;

use crate::{
    deadline_queue::DeadlineKey,
    stream::{StreamReader, StreamWriter},
    time::Time,
    wire::{
        affinity::{Affinity, AffinityKey},
        ids::{CallId, ConnectionNumber, DispatchNumber},
        limits::{PROGRESS_INTERVAL, STARTED_DELAY},
        streams::Streams,
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
    /// Its key and fence, if it has a key.
    pub affinity: Option<Affinity>,
    /// The streams beside its reply, which are those of its method.
    pub streams: Streams,
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
    /// Its affinity key, if it has one.
    pub(super) key: Option<AffinityKey>,
    pub(super) attempt: u32,
    pub(super) deadline: Option<Time>,
    since: Time,
    /// When to look whether it has begun, so that the broker is told; `None` once it was.
    started_due: Option<Time>,
    /// Why it was told to stop, if it was.
    pub(super) stopped: Option<Stopped>,
    /// Its streams, if it has any.
    pub(super) flows: Option<Box<Flows>>,
    /// What is set for what is due of it next.
    pub(super) timer: Option<DeadlineKey>,
}

/// A call that waits for a slot.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) job: Job,
    pub(super) flows: Option<Box<Flows>>,
    /// What is set for its deadline.
    pub(super) timer: Option<DeadlineKey>,
}

/// The streams of one call.
#[derive(Debug)]
pub(super) struct Flows {
    pub(super) streams: Streams,
    /// Items to the caller.
    pub(super) writer: StreamWriter,
    /// Items from the caller.
    pub(super) reader: StreamReader,
    /// The newest word on its progress, unsent.
    pub(super) progress: Option<Bytes>,
    /// When the next such word may be sent.
    pub(super) progress_at: Time,
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
    /// The broker broke the rules of its stream.
    Broken,
}

impl Running {
    pub(super) fn new(now: Time, job: &Job, flows: Option<Box<Flows>>) -> Running {
        Running {
            offer: job.offer,
            call: job.call,
            key: job.affinity.as_ref().map(|affinity| affinity.key.clone()),
            attempt: job.attempt,
            deadline: job.deadline,
            since: now,
            started_due: Some(now + STARTED_DELAY),
            stopped: None,
            flows,
            timer: None,
        }
    }

    /// What is due of it next.
    pub(super) fn next_due(&self) -> Option<Time> {
        let deadline = self.deadline.filter(|_| self.stopped.is_none());
        let first = match (self.started_due, deadline) {
            (Some(started), Some(deadline)) => Some(started.min(deadline)),
            (started, deadline) => started.or(deadline),
        };
        match &self.flows {
            Some(flows) => [first, flows.progress_due()].into_iter().flatten().min(),
            None => first,
        }
    }

    /// Whether to look now if it has begun. One that has not is looked at again after as long a time as it has had so far: a
    /// program that is slow to begin is not asked every moment.
    pub(super) fn starts_to_count(&mut self, now: Time) -> bool {
        let due = self.started_due.is_some_and(|at| at <= now);
        if due {
            self.started_due = Some(now + now.since(self.since).max(STARTED_DELAY));
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

impl Flows {
    /// Those of a call, if it has any.
    pub(super) fn of(streams: Streams) -> Option<Box<Flows>> {
        (streams != Streams::NONE).then(|| {
            let (writer, reader) = (StreamWriter::default(), StreamReader::default());
            Box::new(Flows { streams, writer, reader, progress: None, progress_at: Time::ZERO })
        })
    }

    /// When the broker is to be told of progress.
    fn progress_due(&self) -> Option<Time> {
        self.progress.as_ref().map(|_| self.progress_at)
    }

    /// The word on progress that is to be sent now, if there is one.
    pub(super) fn take_progress(&mut self, now: Time) -> Option<Bytes> {
        let word = if self.progress_at <= now { self.progress.take() } else { None };
        if word.is_some() {
            self.progress_at = now + PROGRESS_INTERVAL;
        }
        word
    }
}
