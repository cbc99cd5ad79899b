//! The state of one call at its client.

use std::{fmt, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;

use crate::{
    deadline_queue::DeadlineKey,
    stream::{StreamReader, StreamWriter},
    text::HumanDuration,
    time::Time,
    wire::{
        affinity::AffinityKey,
        envelope::{Effect, Priority, Request, RequestFlags},
        extensions::Extensions,
        ids::{CallId, CallNumber},
        limits::{BROADCAST_GRACE, EXPIRY_GRACE_MAX},
        method::MethodName,
        status::{Code, Executed, Failure},
        streams::{ItemCredit, Streams},
    },
};

/// The driver's id for a call, for cancels and stream items. Unique in the life of the client; the order does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A call to be made.
#[derive(Clone, Debug)]
pub struct NewCall<T> {
    /// The driver's id for it.
    pub ticket: Ticket,
    /// What the driver needs to deliver the outcome. It is returned exactly once, by [`super::Action::Complete`] or
    /// [`super::Action::Release`].
    pub token: T,
    /// The method to call.
    pub method: MethodName,
    /// The arguments: one CBOR item.
    pub body: Bytes,
    /// The extension keys of its header; usually none.
    pub extensions: Extensions,
    /// When the caller made it. The timeout starts here, so that it includes the way to the machine.
    pub made: Time,
    /// The timeout. `None` means that the call never expires.
    pub timeout: Option<Timeout>,
    /// The effect that the caller declares, if it is stricter than the method's.
    pub effect: Option<Effect>,
    /// The priority, relative to other calls of the same tenant.
    pub priority: Priority,
    /// Whether it waits for a worker as long as the timeout allows.
    pub wait_for_ready: bool,
    /// Whether it goes to every worker that serves the method.
    pub broadcast: bool,
    /// Whether it is a one-way call, without an outcome. Its token is returned once it is sent or dropped.
    pub cast: bool,
    /// Its affinity key. Calls of one key run one at a time, on one worker.
    pub key: Option<AffinityKey>,
    /// The streams that it has beside the reply. A cast has none.
    pub streams: Streams,
}

/// The timeout of a call, and its source, which the error names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// The span from the moment when the call was made.
    pub span: Duration,
    /// Where the timeout comes from.
    pub source: TimeoutSource,
}

/// Where a timeout comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutSource {
    /// The call itself.
    Call,
    /// The client's default, for calls that set none.
    Client,
    /// The deadline of the call that the caller serves. A nested call does not need to run longer.
    Inherited,
}

/// A call that waits or is open.
#[derive(Debug)]
pub(super) struct Call<T> {
    pub(super) new: NewCall<T>,
    pub(super) state: State,
    /// Its timer, if one is set.
    pub(super) timer: Option<DeadlineKey>,
    /// The state of its streams, if it has any.
    pub(super) streams: Option<Box<CallStreams>>,
}

/// The state of the streams of one call.
#[derive(Debug, Default)]
pub(super) struct CallStreams {
    /// Items to the handler.
    pub(super) writer: StreamWriter,
    /// Items from the handler.
    pub(super) reader: StreamReader,
}

/// The state of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It waits in the queue, at this position.
    Waiting { position: u64 },
    /// It was sent under this number.
    Open { number: CallNumber, sent: Time },
}

impl<T> Call<T> {
    /// Returns when it expires.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.new.timeout.map(|timeout| self.new.made + timeout.span)
    }

    /// Returns when the client stops waiting for the reply to a call that was sent: a grace period after its deadline.
    pub(super) fn grace_end(&self) -> Option<Time> {
        let timeout = self.new.timeout?;
        // For a broadcast, the results that have arrived are worth more than an exact timeout.
        let grace = if self.new.broadcast { BROADCAST_GRACE } else { EXPIRY_GRACE_MAX.min(timeout.span / 10) };
        Some(self.new.made + timeout.span + grace)
    }

    /// Returns whether its deadline has passed.
    pub(super) fn is_expired(&self, now: Time) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// Returns whether the call ran: no if it was not sent, yes if the client has received items of it, otherwise
    /// maybe.
    pub(super) fn executed(&self) -> Executed {
        match self.state {
            State::Waiting { .. } => Executed::No,
            State::Open { .. } if self.has_received_items() => Executed::Yes,
            State::Open { .. } => Executed::Maybe,
        }
    }

    /// Returns whether items were sent in either direction, or may have been.
    pub(super) fn has_stream_traffic(&self) -> bool {
        self.streams.as_ref().is_some_and(|streams| streams.has_traffic())
    }

    fn has_received_items(&self) -> bool {
        self.streams.as_ref().is_some_and(|streams| streams.reader.has_taken())
    }

    /// Returns the id of the call, once it is sent, and how long the call waited in the client before that.
    pub(super) fn id_and_wait(&self, caller: u32) -> (Option<CallId>, Duration) {
        match self.state {
            State::Waiting { .. } => (None, Duration::ZERO),
            State::Open { number, sent } => (Some(CallId { caller, number }), sent.since(self.new.made)),
        }
    }

    /// Returns a failure of this call that the client created.
    pub(super) fn failure(&self, code: Code, message: impl Into<ByteString>) -> Box<Failure> {
        Box::new(Failure::new(code, self.executed(), message))
    }

    /// Returns the request that sends it now, under `number`.
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
            key: self.new.key.clone().map(Box::new),
            streams: self.new.streams,
            done_below: done_below.unwrap_or_default(),
            extensions: self.new.extensions.clone(),
            body: self.new.body.clone(),
        }
    }
}

impl CallStreams {
    /// Creates the state of these streams, if there are any.
    pub(super) fn of(streams: Streams) -> Option<Box<CallStreams>> {
        (streams != Streams::NONE).then(Box::default)
    }

    fn has_traffic(&self) -> bool {
        self.writer.has_sent() || self.writer.left() != ItemCredit::NONE || self.reader.has_taken()
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source {
            TimeoutSource::Call => write!(f, "the call's own timeout of {}", HumanDuration(self.span)),
            TimeoutSource::Client => write!(f, "the client's default timeout of {}", HumanDuration(self.span)),
            TimeoutSource::Inherited => {
                write!(f, "the remaining {} of the call that the caller serves", HumanDuration(self.span))
            }
        }
    }
}
