//! The request of a call.

use std::time::{Duration, Instant};

use bytes::Bytes;
use callboard_core::{
    body::Arguments,
    client::{NewCall, Ticket, Timeout, TimeoutSource},
    time::Time,
    wire::{
        affinity::AffinityKey,
        envelope::{Effect, Priority},
        extensions::Extensions,
        method::MethodName,
        streams::Streams,
    },
};

use callboard_transport::CallScope;

use crate::{completion::reply_sink::ReplySink, error::call_error::CallError};

/// The request of a call, with its options and encoded arguments.
#[derive(Debug)]
pub(crate) struct Request {
    method: MethodName,
    body: Bytes,
    pub(crate) timeout: Option<Timeout>,
    pub(crate) effect: Option<Effect>,
    pub(crate) priority: Priority,
    pub(crate) wait_for_ready: bool,
    pub(crate) key: Option<AffinityKey>,
    pub(crate) broadcast: bool,
    cast: bool,
    /// The deadline of the call that the current handler serves.
    served_deadline: Option<Instant>,
    pub(crate) streams: Streams,
    /// Keep only the newest unread item of the reply stream.
    pub(crate) conflate: bool,
}

impl Request {
    /// Creates a request with the client's default `timeout`.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if the method's name is invalid or an argument cannot be encoded as CBOR.
    pub(crate) fn new(
        method: &str,
        arguments: &impl Arguments,
        timeout: Option<Duration>,
    ) -> Result<Request, CallError> {
        let method = MethodName::parse(method).map_err(|error| CallError::invalid_method_name(&error))?;
        let body = arguments.encode().map_err(|error| CallError::invalid_arguments(method.as_str(), &error))?;
        let timeout = timeout.map(|span| Timeout { span, source: TimeoutSource::Client });
        let served_deadline = CallScope::current().and_then(|scope| scope.deadline());
        Ok(Request {
            method,
            body,
            timeout,
            effect: None,
            priority: Priority::default(),
            wait_for_ready: false,
            key: None,
            broadcast: false,
            cast: false,
            served_deadline,
            streams: Streams::NONE,
            conflate: false,
        })
    }

    /// Returns why the options exclude each other, if they do.
    pub(crate) fn conflict(&self) -> Option<&'static str> {
        match self.broadcast {
            true if self.key.is_some() => Some(
                "a broadcast cannot have an affinity key: it goes to every worker, and calls of one key go to one worker",
            ),
            true if self.streams != Streams::NONE => Some("a broadcast cannot have streams or progress"),
            _ => None,
        }
    }

    /// Turns the request into a cast.
    pub(crate) fn into_cast(self) -> Request {
        Request { cast: true, ..self }
    }

    /// Limits the timeout to the time that the call which the current handler serves has left.
    pub(crate) fn limited_to_served_call(self) -> Request {
        let left = self.served_deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = match (self.timeout, left) {
            (Some(own), Some(left)) if own.span <= left => Some(own),
            (_, Some(span)) => Some(Timeout { span, source: TimeoutSource::Inherited }),
            (own, None) => own,
        };
        Request { timeout, ..self }
    }

    /// Returns the deadline of a call that is created at `created`.
    pub(crate) fn deadline(&self, created: Time) -> Option<Time> {
        self.timeout.map(|timeout| created + timeout.span)
    }

    /// Converts the request to the machine's type.
    pub(crate) fn into_new_call(self, ticket: Ticket, created: Time, sink: ReplySink) -> NewCall<ReplySink> {
        NewCall {
            ticket,
            token: sink,
            method: self.method,
            body: self.body,
            extensions: Extensions::NONE,
            made: created,
            timeout: self.timeout,
            effect: self.effect,
            priority: self.priority,
            wait_for_ready: self.wait_for_ready,
            broadcast: self.broadcast,
            cast: self.cast,
            key: self.key,
            streams: self.streams,
        }
    }
}
