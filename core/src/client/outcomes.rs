//! How calls end: replies, cancels, time-outs. A token comes back exactly once.

use std::time::Duration;

use bytes::Bytes;

use super::{
    Action, Client, Diagnostic,
    call::{Call, NewCall, State, Ticket, Timeout},
    calls::CallKey,
};
use crate::{
    time::Time,
    wire::{
        bundle::EnvelopeError,
        envelope::{Cancel, Envelope, Reply},
        ids::CallNumber,
        kind::Kind,
        limits::SESSION_OUTCOMES_MAX,
        status::{Code, Failure, Timings},
    },
};

impl<T> Client<T> {
    /// The broker answers a call.
    pub(super) fn on_reply(&mut self, reply: Reply, out: &mut Vec<Action<T>>) {
        if let Some(credit) = reply.credit {
            self.grant(credit);
        }
        let number = CallNumber(reply.number);
        let Some(key) = self.calls.by_number(number) else {
            self.counters.late += 1;
            return out.push(Action::Log(Diagnostic::LateReply(number)));
        };
        let call = self.calls.remove(key);
        let outcome = reply.outcome.map_err(|failure| {
            let known = call.known(self.peer.caller());
            let timings = Timings { client: known.1, ..failure.timings };
            with_timeout(Box::new(Failure { timings, call: known.0, ..*failure }), call.new.timeout)
        });
        self.resolve(call.new, outcome, out);
    }

    /// An envelope could not be read. If it was the reply to an open call, there will be no other: the call ends here.
    pub(super) fn on_invalid_envelope(&mut self, now: Time, error: EnvelopeError, out: &mut Vec<Action<T>>) {
        self.counters.invalid_envelopes += 1;
        self.on_invalid_item(now, &error, out);
        let is_reply = error.kind == Some(u64::from(Kind::Reply.number())) && self.peer.is_connected();
        let number = error.number.filter(|_| is_reply);
        if let Some(key) = number.and_then(|number| self.calls.by_number(CallNumber(number))) {
            let text = format!("the broker's reply could not be read: {error}");
            let failure = self.calls.at(key).failure(Code::Internal, text);
            self.fail(key, failure, out);
        }
        out.push(Action::Log(Diagnostic::InvalidEnvelope(error)));
    }

    /// An envelope that a broker has no business to send to a client, or not now.
    pub(super) fn on_unexpected_message(&mut self, kind: Kind, out: &mut Vec<Action<T>>) {
        self.counters.invalid_envelopes += 1;
        out.push(Action::Log(Diagnostic::UnexpectedMessage(kind)));
    }

    /// Its caller gave a call up.
    pub(super) fn cancel(&mut self, now: Time, ticket: Ticket, out: &mut Vec<Action<T>>) {
        let Some(key) = self.calls.by_ticket(ticket) else { return };
        self.counters.cancelled += 1;
        let call = self.calls.remove(key);
        if let State::Open { number, .. } = call.state {
            self.send_cancel(now, number, out);
        }
        out.push(Action::Release { token: call.new.token });
    }

    /// Tells the broker that nobody waits for an open call any more: now, or when it is there again.
    pub(super) fn send_cancel(&mut self, now: Time, number: CallNumber, out: &mut Vec<Action<T>>) {
        self.remember_cancelled(number);
        if self.peer.is_connected() {
            let done_below = self.take_done_below();
            self.send(now, Envelope::Cancel(Cancel { number: number.0, done_below }), out);
        }
    }

    /// Remembers a cancel for the next welcome; of too many the oldest are forgotten, as the broker forgets outcomes.
    pub(super) fn remember_cancelled(&mut self, number: CallNumber) {
        self.cancelled.insert(number);
        if self.cancelled.len() > SESSION_OUTCOMES_MAX {
            self.cancelled.pop_first();
        }
    }

    /// Ends the calls whose time is up. One that was sent gets a moment more, for the broker's own word on it, which
    /// knows better what became of it.
    pub(super) fn expire(&mut self, now: Time, out: &mut Vec<Action<T>>) {
        while let Some((at, key)) = self.calls.first_timer()
            && at <= now
        {
            let call = self.calls.at(key);
            let last = call.last_moment();
            match call.state {
                State::Open { .. } if last.is_some_and(|last| at < last) => self.calls.set_timer(key, last),
                State::Open { .. } | State::Waiting { .. } => self.expire_call(now, key, out),
            }
        }
    }

    /// A call's time is up, by the client's own clock.
    pub(super) fn expire_call(&mut self, now: Time, key: CallKey, out: &mut Vec<Action<T>>) {
        let text = self.where_time_went(now, self.calls.at(key));
        let call = self.calls.at(key);
        let (state, mut failure) = (call.state, call.failure(Code::DeadlineExceeded, text));
        if matches!(state, State::Waiting { .. }) {
            failure.timings.client = now.since(call.new.made);
        }
        if !call.new.cast {
            self.counters.expired += 1;
        }
        self.fail(key, failure, out);
        if let State::Open { number, .. } = state {
            self.send_cancel(now, number, out);
        }
    }

    fn where_time_went(&self, now: Time, call: &Call<T>) -> String {
        let timeout = call.new.timeout.map_or_else(String::new, |timeout| timeout.to_string());
        match call.state {
            State::Waiting { .. } if !self.peer.is_connected() => {
                format!("{timeout} passed before a broker was reached: the call was never sent")
            }
            State::Waiting { .. } => {
                let open = self.open_len();
                format!(
                    "{timeout} passed in the client, waiting for credit behind {open} open calls: the call was never sent"
                )
            }
            State::Open { sent, .. } => {
                let apart = if self.peer.is_connected() { "" } else { ", and the connection to the broker is lost" };
                let (waited, since) = (rounded(sent.since(call.new.made)), rounded(now.since(sent)));
                format!("{timeout} passed: {waited:?} waiting in the client, then {since:?} without an outcome{apart}")
            }
        }
    }

    /// Ends a call with a failure of the client's own making.
    pub(super) fn fail(&mut self, key: CallKey, failure: Box<Failure>, out: &mut Vec<Action<T>>) {
        let call = self.calls.remove(key);
        let (id, client) = call.known(self.peer.caller());
        let timings = Timings { client: client.max(failure.timings.client), ..failure.timings };
        self.reject_call(call.new, Box::new(Failure { timings, call: id, ..*failure }), out);
    }

    /// A call that is in no table (any more) ends with a failure of the client's own making.
    pub(super) fn reject_call(&mut self, new: NewCall<T>, failure: Box<Failure>, out: &mut Vec<Action<T>>) {
        if !new.cast {
            return self.resolve(new, Err(failure), out);
        }
        self.counters.casts_dropped += 1;
        out.push(Action::Log(Diagnostic::CastDropped { method: new.method, failure }));
        out.push(Action::Release { token: new.token });
    }

    fn resolve(&mut self, new: NewCall<T>, outcome: Result<Bytes, Box<Failure>>, out: &mut Vec<Action<T>>) {
        let counter = if outcome.is_ok() { &mut self.counters.answered } else { &mut self.counters.failed };
        *counter += 1;
        out.push(Action::Complete { token: new.token, outcome });
    }
}

/// To milliseconds, as people read it.
fn rounded(span: Duration) -> Duration {
    Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// What the broker or a worker says of a time that was up, with the time-out that only the client knows.
fn with_timeout(mut failure: Box<Failure>, timeout: Option<Timeout>) -> Box<Failure> {
    if let Some(timeout) = timeout.filter(|_| failure.code == Code::DeadlineExceeded) {
        failure.message = format!("{}; {timeout} applied", failure.message).into();
    }
    failure
}
