//! A call as its client knows it, from the caller's wish to its outcome.

use std::{fmt, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;

use crate::{
    deadline_queue::DeadlineKey,
    stream::{StreamReader, StreamWriter},
    time::Time,
    wire::{
        affinity::AffinityKey,
        envelope::{Effect, Priority, Request, RequestFlags},
        ids::{CallId, CallNumber},
        limits::{BROADCAST_GRACE, EXPIRY_GRACE_MAX},
        method::MethodName,
        status::{Code, Executed, Failure},
        streams::{ItemCredit, Streams},
    },
};

/// The driver's name for a call, with which it can be cancelled. Unique in one life of the client; in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A call that somebody wants made.
#[derive(Clone, Debug)]
pub struct NewCall<T> {
    /// The driver's name for it.
    pub ticket: Ticket,
    /// Whatever the driver needs to tell the outcome to whom it concerns. It comes back exactly once: with
    /// [`super::Action::Complete`] or with [`super::Action::Release`].
    pub token: T,
    /// What to call.
    pub method: MethodName,
    /// The arguments: one CBOR item.
    pub body: Bytes,
    /// Header keys from 64 on, encoded; usually empty.
    pub extensions: Bytes,
    /// When the caller made it. The time-out counts from here, so that it covers the way to the machine, too.
    pub made: Time,
    /// How long it may take; `None`: as long as it takes.
    pub timeout: Option<Timeout>,
    /// The caller's own effect, where it is to be stricter than the method's.
    pub effect: Option<Effect>,
    /// How soon it is to have its turn.
    pub priority: Priority,
    /// Wait for a worker as long as the time-out allows.
    pub wait_for_ready: bool,
    /// It goes to every worker that serves the method.
    pub broadcast: bool,
    /// Fire and forget: no outcome. Its token comes back once it is sent, or given up.
    pub cast: bool,
    /// Which calls it belongs to: those of its key run one at a time, on one worker.
    pub key: Option<AffinityKey>,
    /// The streams beside the reply; a cast has none.
    pub streams: Streams,
}

/// How long a call may take, and who said so: the error tells which time-out it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// From the moment the call was made.
    pub span: Duration,
    /// Who said so.
    pub source: TimeoutSource,
}

/// Who chose a time-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutSource {
    /// The call itself.
    Call,
    /// The client's setting for calls that name none.
    Client,
    /// The call that its caller serves: nobody waits for longer.
    Inherited,
}

/// A call as the machine keeps it.
#[derive(Debug)]
pub(super) struct Call<T> {
    pub(super) new: NewCall<T>,
    pub(super) state: State,
    /// The timer that is set for it, if any.
    pub(super) timer: Option<DeadlineKey>,
    /// Its streams, if it has any.
    pub(super) flows: Option<Box<Flows>>,
}

/// The streams of one call.
#[derive(Debug, Default)]
pub(super) struct Flows {
    /// Items to the handler.
    pub(super) writer: StreamWriter,
    /// Items from the handler.
    pub(super) reader: StreamReader,
}

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// In the queue, in that place of it.
    Waiting { turn: u64 },
    /// Sent, under this number.
    Open { number: CallNumber, sent: Time },
}

impl<T> Call<T> {
    /// When its time is up.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.new.timeout.map(|timeout| self.new.made + timeout.span)
    }

    /// When the client stops waiting for the broker's word on a call that was sent.
    pub(super) fn last_moment(&self) -> Option<Time> {
        let timeout = self.new.timeout?;
        // The answers that a broadcast has are worth more than its time-out's end to the moment.
        let grace = if self.new.broadcast { BROADCAST_GRACE } else { EXPIRY_GRACE_MAX.min(timeout.span / 10) };
        Some(self.new.made + timeout.span + grace)
    }

    /// Whether its time is up.
    pub(super) fn is_expired(&self, now: Time) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// Whether it may have run, as far as the client knows.
    pub(super) fn executed(&self) -> Executed {
        match self.state {
            State::Waiting { .. } => Executed::No,
            State::Open { .. } if self.has_items_of_handler() => Executed::Yes,
            State::Open { .. } => Executed::Maybe,
        }
    }

    /// Whether items went in some direction, or may have.
    pub(super) fn is_touched(&self) -> bool {
        self.flows.as_ref().is_some_and(|flows| flows.is_touched())
    }

    fn has_items_of_handler(&self) -> bool {
        self.flows.as_ref().is_some_and(|flows| flows.reader.has_taken())
    }

    /// What only its client knows of it: its name, once it has one, and how long it waited here until it was sent.
    pub(super) fn known(&self, caller: u32) -> (Option<CallId>, Duration) {
        match self.state {
            State::Waiting { .. } => (None, Duration::ZERO),
            State::Open { number, sent } => (Some(CallId { caller, number }), sent.since(self.new.made)),
        }
    }

    /// How it failed, in the client's words.
    pub(super) fn failure(&self, code: Code, message: impl Into<ByteString>) -> Box<Failure> {
        Box::new(Failure::new(code, self.executed(), message))
    }

    /// The envelope that sends it, now, under `number`.
    pub(super) fn request(
        &self,
        now: Time,
        number: CallNumber,
        resend: bool,
        done_below: Option<CallNumber>,
    ) -> Request {
        Request {
            number,
            method: self.new.method.clone(),
            timeout: self.deadline().map(|deadline| deadline.since(now)),
            effect: self.new.effect,
            priority: self.new.priority,
            flags: RequestFlags {
                cast: self.new.cast,
                resend,
                wait_for_ready: self.new.wait_for_ready,
                broadcast: self.new.broadcast,
            },
            key: self.new.key.clone(),
            streams: self.new.streams,
            done_below,
            extensions: self.new.extensions.clone(),
            body: self.new.body.clone(),
        }
    }
}

impl Flows {
    /// Those of a call, if it has any.
    pub(super) fn of(streams: Streams) -> Option<Box<Flows>> {
        (streams != Streams::NONE).then(Box::default)
    }

    fn is_touched(&self) -> bool {
        self.writer.has_sent() || self.writer.left() != ItemCredit::NONE || self.reader.has_taken()
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source {
            TimeoutSource::Call => write!(f, "the call's own time-out of {:?}", self.span),
            TimeoutSource::Client => write!(f, "the client's default time-out of {:?}", self.span),
            TimeoutSource::Inherited => write!(f, "the {:?} that were left to the call that is served", self.span),
        }
    }
}
