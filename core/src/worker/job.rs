//! The state of one dispatched call at its worker.

use bytes::Bytes;
use bytestring::ByteString;

use crate::{
    deadline_queue::DeadlineKey,
    stream::{StreamReader, StreamWriter},
    time::Time,
    wire::{
        affinity::{Affinity, AffinityKey},
        extensions::Extensions,
        ids::{CallId, ConnectionNumber, DispatchNumber},
        limits::{PROGRESS_INTERVAL, STARTED_DELAY},
        streams::Streams,
    },
};

/// The id of one dispatched call at its worker, unique in the life of the worker. It contains the connection, because dispatch
/// numbers begin again with each start of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId {
    /// The connection on which it arrived.
    pub connection: ConnectionNumber,
    /// The broker's number for it.
    pub dispatch: DispatchNumber,
}

/// A call for a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id, for [`super::Event::Finished`] or [`super::Event::Stopped`].
    pub id: JobId,
    /// The index of the offer in the registration.
    pub offer: usize,
    /// The index of the method in that offer.
    pub method: usize,
    /// The id of the call, as callers and operators see it.
    pub call: CallId,
    /// The name of the peer that made the call, if it has one. The broker has authenticated it.
    pub caller_name: Option<ByteString>,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// When it expires. The machine stops it then. A handler can read it.
    pub deadline: Option<Time>,
    /// Its affinity key and fencing token, if it has a key.
    pub affinity: Option<Affinity>,
    /// The streams that its method declares.
    pub streams: Streams,
    /// The extension keys of its header.
    pub extensions: Extensions,
    /// The arguments: one CBOR item.
    pub body: Bytes,
}

/// A running handler.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) offer: usize,
    pub(super) call: CallId,
    /// Its affinity key, if it has one.
    pub(super) key: Option<AffinityKey>,
    pub(super) attempt: u32,
    pub(super) deadline: Option<Time>,
    since: Time,
    /// When to ask the driver whether it has started, for the message to the broker. `None` after that message.
    query_started_at: Option<Time>,
    /// Whether it counts as long: it was reported as started, or its connection is lost.
    pub(super) is_long: bool,
    /// Why it was asked to stop, if it was.
    pub(super) stopped: Option<StopReason>,
    /// The state of its streams, if it has any.
    pub(super) streams: Option<Box<CallStreams>>,
    /// The timer for its next deadline, if it has one.
    pub(super) timer: Option<DeadlineKey>,
}

/// A prefetched call, which waits for a slot.
#[derive(Debug)]
pub(super) struct Prefetched {
    pub(super) job: Job,
    pub(super) streams: Option<Box<CallStreams>>,
    /// The timer for its deadline, if it has one.
    pub(super) timer: Option<DeadlineKey>,
}

/// The state of the streams of one call.
#[derive(Debug)]
pub(super) struct CallStreams {
    /// The streams that its method declares.
    pub(super) declared: Streams,
    /// Items to the caller.
    pub(super) writer: StreamWriter,
    /// Items from the caller.
    pub(super) reader: StreamReader,
    /// The newest progress that was not sent.
    pub(super) progress: Option<Bytes>,
    /// When progress may be sent again.
    pub(super) progress_at: Time,
}

/// Why a handler was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopReason {
    /// The caller has cancelled the call, or its connection is lost.
    Cancelled,
    /// The call has expired.
    Expired,
    /// The deadline of the drain has passed.
    Drained,
    /// The broker violated the rules of its stream.
    StreamViolation,
}

impl Running {
    pub(super) fn new(now: Time, job: &Job, streams: Option<Box<CallStreams>>) -> Running {
        Running {
            offer: job.offer,
            call: job.call,
            key: job.affinity.as_ref().map(|affinity| affinity.key.clone()),
            attempt: job.attempt,
            deadline: job.deadline,
            since: now,
            query_started_at: Some(now + STARTED_DELAY),
            is_long: false,
            stopped: None,
            streams,
            timer: None,
        }
    }

    /// Returns when it is due next: a query, its deadline, or progress.
    pub(super) fn next_due(&self) -> Option<Time> {
        let deadline = self.deadline.filter(|_| self.stopped.is_none());
        let first = match (self.query_started_at, deadline) {
            (Some(started), Some(deadline)) => Some(started.min(deadline)),
            (started, deadline) => started.or(deadline),
        };
        match &self.streams {
            Some(streams) => [first, streams.progress_due()].into_iter().flatten().min(),
            None => first,
        }
    }

    /// Returns whether to ask now if it has started, and schedules the next query. Its delay is the time since the dispatch, so a
    /// handler that starts late causes few queries.
    pub(super) fn take_started_query(&mut self, now: Time) -> bool {
        let due = self.query_started_at.is_some_and(|at| at <= now);
        if due {
            self.query_started_at = Some(now + now.since(self.since).max(STARTED_DELAY));
        }
        due
    }

    /// Records that it has started. Returns true the first time.
    pub(super) fn record_started(&mut self) -> bool {
        self.query_started_at.take().is_some()
    }

    /// Returns whether it has expired and was not asked to stop before.
    pub(super) fn is_expired(&self, now: Time) -> bool {
        self.stopped.is_none() && self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

impl CallStreams {
    /// Creates the state of these streams, if there are any.
    pub(super) fn of(declared: Streams) -> Option<Box<CallStreams>> {
        (declared != Streams::NONE).then(|| {
            let (writer, reader) = (StreamWriter::default(), StreamReader::default());
            Box::new(CallStreams { declared, writer, reader, progress: None, progress_at: Time::ZERO })
        })
    }

    /// Returns when progress must be sent, if there is any.
    fn progress_due(&self) -> Option<Time> {
        self.progress.as_ref().map(|_| self.progress_at)
    }

    /// Takes the progress that must be sent now, if there is any.
    pub(super) fn take_progress(&mut self, now: Time) -> Option<Bytes> {
        let progress = if self.progress_at <= now { self.progress.take() } else { None };
        if progress.is_some() {
            self.progress_at = now + PROGRESS_INTERVAL;
        }
        progress
    }
}
