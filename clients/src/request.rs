//! What a caller wants called, ready to be sent.

use std::time::{Duration, Instant};

use bytes::Bytes;
use callboard_core::{
    body::Arguments,
    client::{NewCall, Ticket, Timeout, TimeoutSource},
    time::Time,
    wire::{
        affinity::AffinityKey,
        envelope::{Effect, Priority},
        method::MethodName,
        streams::Streams,
    },
};

use callboard_transport::CallScope;

use crate::{call_error::CallError, responder::Responder};

/// What a caller wants called, ready to be sent.
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
    /// When the time of the call that is served here is up.
    served_until: Option<Instant>,
    pub(crate) streams: Streams,
    /// Of its items, only the newest is wanted.
    pub(crate) latest: bool,
}

impl Request {
    /// A call with the client's `timeout`.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, if the name is none or an argument has no CBOR form.
    pub(crate) fn new(
        method: &str,
        arguments: &impl Arguments,
        timeout: Option<Duration>,
    ) -> Result<Request, CallError> {
        let method = MethodName::parse(method).map_err(|error| CallError::bad_name(&error))?;
        let body = arguments.encode().map_err(|error| CallError::bad_arguments(method.as_str(), &error))?;
        let timeout = timeout.map(|span| Timeout { span, source: TimeoutSource::Client });
        let served_until = CallScope::current().and_then(|scope| scope.deadline());
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
            served_until,
            streams: Streams::NONE,
            latest: false,
        })
    }

    /// What cannot be said of a broadcast, and was said of this one.
    pub(crate) fn contradiction(&self) -> Option<&'static str> {
        match self.broadcast {
            true if self.key.is_some() => Some(
                "a broadcast cannot have an affinity key: it goes to every worker, and calls of one key go to one worker",
            ),
            true if self.streams != Streams::NONE => Some("a broadcast cannot have streams or progress"),
            _ => None,
        }
    }

    /// The same, fired and forgotten.
    pub(crate) fn into_cast(self) -> Request {
        Request { cast: true, ..self }
    }

    /// The same, made now: with no more time than is left to the call that is served here.
    pub(crate) fn begun(self) -> Request {
        let left = self.served_until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = match (self.timeout, left) {
            (Some(own), Some(left)) if own.span <= left => Some(own),
            (_, Some(span)) => Some(Timeout { span, source: TimeoutSource::Served }),
            (own, None) => own,
        };
        Request { timeout, ..self }
    }

    /// When the time of a call that is made then is up.
    pub(crate) fn deadline(&self, made: Time) -> Option<Time> {
        self.timeout.map(|timeout| made + timeout.span)
    }

    /// The call, as the machine takes it.
    pub(crate) fn new_call(self, ticket: Ticket, made: Time, token: Responder) -> NewCall<Responder> {
        NewCall {
            ticket,
            token,
            method: self.method,
            body: self.body,
            extensions: Bytes::new(),
            made,
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
