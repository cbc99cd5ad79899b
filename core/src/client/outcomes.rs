//! The end of calls: replies, cancels, timeouts. Each token is returned exactly once.

use bytes::Bytes;

use super::{
    Action, Client, Diagnostic,
    call::{Call, NewCall, State, Ticket, Timeout},
    calls::CallKey,
};
use crate::{
    text::HumanDuration,
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
    /// Handles the reply to a call.
    pub(super) fn on_reply(&mut self, reply: Reply, out: &mut Vec<Action<T>>) {
        if let Some(credit) = reply.credit {
            self.add_credit(credit);
        }
        let number = CallNumber(reply.number);
        let Some(key) = self.calls.by_number(number) else {
            self.counters.late_replies += 1;
            return out.push(Action::Log(Diagnostic::LateReply(number)));
        };
        let call = self.calls.remove(key);
        let outcome = reply.outcome.map_err(|failure| {
            let (id, client) = call.id_and_wait(self.peer.caller());
            let timings = Timings { client, ..failure.timings };
            append_timeout(Box::new(Failure { timings, call: id, ..*failure }), call.new.timeout)
        });
        self.complete(call.new, outcome, out);
    }

    /// Handles an envelope that could not be decoded. If it was the reply to an open call, no other will follow: the call ends
    /// here.
    pub(super) fn on_invalid_envelope(&mut self, now: Time, error: EnvelopeError, out: &mut Vec<Action<T>>) {
        self.counters.invalid_envelopes += 1;
        self.on_invalid_item(now, &error, out);
        let is_reply = error.kind == Some(u64::from(Kind::Reply.number())) && self.peer.is_connected();
        let number = error.number.filter(|_| is_reply);
        if let Some(key) = number.and_then(|number| self.calls.by_number(CallNumber(number))) {
            let text = format!("the broker's reply could not be decoded: {error}");
            let failure = self.calls.at(key).failure(Code::Internal, text);
            self.fail(key, failure, out);
        }
        out.push(Action::Log(Diagnostic::InvalidEnvelope(error)));
    }

    /// Handles an envelope that is not allowed from a broker to a client, or not in this state.
    pub(super) fn on_unexpected_message(&mut self, kind: Kind, out: &mut Vec<Action<T>>) {
        self.counters.invalid_envelopes += 1;
        out.push(Action::Log(Diagnostic::UnexpectedMessage(kind)));
    }

    /// Cancels a call for its caller.
    pub(super) fn cancel(&mut self, now: Time, ticket: Ticket, out: &mut Vec<Action<T>>) {
        let Some(key) = self.calls.by_ticket(ticket) else { return };
        self.counters.cancelled += 1;
        let call = self.calls.remove(key);
        if let State::Open { number, .. } = call.state {
            self.send_cancel(now, number, out);
        }
        out.push(Action::Release { token: call.new.token });
    }

    /// Cancels an open call at the broker: now, or after the next connect.
    pub(super) fn send_cancel(&mut self, now: Time, number: CallNumber, out: &mut Vec<Action<T>>) {
        self.remember_cancelled(number);
        if self.peer.is_connected() {
            let done_below = self.take_done_below();
            self.send(now, Envelope::Cancel(Cancel { number: number.0, done_below }), out);
        }
    }

    /// Keeps a cancel for the next welcome. Above the limit the oldest are dropped, as the broker drops the oldest
    /// outcomes.
    pub(super) fn remember_cancelled(&mut self, number: CallNumber) {
        self.cancelled.insert(number);
        if self.cancelled.len() > SESSION_OUTCOMES_MAX {
            self.cancelled.pop_first();
        }
    }

    /// Ends the calls whose deadline has passed. A call that was sent has a grace period: the broker's reply describes better
    /// what happened to it.
    pub(super) fn expire(&mut self, now: Time, out: &mut Vec<Action<T>>) {
        while let Some((at, key)) = self.calls.first_timer()
            && at <= now
        {
            let call = self.calls.at(key);
            let grace_end = call.grace_end();
            match call.state {
                State::Open { .. } if grace_end.is_some_and(|end| at < end) => self.calls.set_timer(key, grace_end),
                State::Open { .. } | State::Waiting { .. } => self.expire_call(now, key, out),
            }
        }
    }

    /// Ends a call whose deadline has passed by the client's clock.
    pub(super) fn expire_call(&mut self, now: Time, key: CallKey, out: &mut Vec<Action<T>>) {
        let text = self.describe_timeout(now, self.calls.at(key));
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

    /// Returns the message of an expired call: which timeout it was, and where the time was spent.
    fn describe_timeout(&self, now: Time, call: &Call<T>) -> String {
        let timeout = call.new.timeout.map_or_else(String::new, |timeout| timeout.to_string());
        match call.state {
            State::Waiting { .. } if !self.peer.is_connected() => {
                format!("{timeout} passed before the client was connected: the call was never sent")
            }
            State::Waiting { .. } => {
                let open = self.open_len();
                format!("{timeout} passed while the call waited for credit behind {open} open calls: it was never sent")
            }
            State::Open { sent, .. } => {
                let lost = if self.peer.is_connected() { "" } else { ", and the connection to the broker is lost" };
                let waited = HumanDuration(sent.since(call.new.made));
                let since = HumanDuration(now.since(sent));
                format!("{timeout} passed: {waited} waiting in the client, then {since} without an outcome{lost}")
            }
        }
    }

    /// Ends a call with a failure that the client created.
    pub(super) fn fail(&mut self, key: CallKey, failure: Box<Failure>, out: &mut Vec<Action<T>>) {
        let call = self.calls.remove(key);
        let (id, client) = call.id_and_wait(self.peer.caller());
        let timings = Timings { client: client.max(failure.timings.client), ..failure.timings };
        self.reject_call(call.new, Box::new(Failure { timings, call: id, ..*failure }), out);
    }

    /// Ends a call that is not in the table (or no longer) with a failure that the client created.
    pub(super) fn reject_call(&mut self, new: NewCall<T>, failure: Box<Failure>, out: &mut Vec<Action<T>>) {
        if !new.cast {
            return self.complete(new, Err(failure), out);
        }
        self.counters.casts_dropped += 1;
        out.push(Action::Log(Diagnostic::CastDropped { method: new.method, failure }));
        out.push(Action::Release { token: new.token });
    }

    /// Completes a call with its outcome.
    fn complete(&mut self, new: NewCall<T>, outcome: Result<Bytes, Box<Failure>>, out: &mut Vec<Action<T>>) {
        let counter = if outcome.is_ok() { &mut self.counters.answered } else { &mut self.counters.failed };
        *counter += 1;
        out.push(Action::Complete { token: new.token, outcome });
    }
}

/// Appends the timeout, which only the client has, to a DEADLINE_EXCEEDED of the broker or a worker.
fn append_timeout(mut failure: Box<Failure>, timeout: Option<Timeout>) -> Box<Failure> {
    if let Some(timeout) = timeout.filter(|_| failure.code == Code::DeadlineExceeded) {
        failure.message = format!("{}; {timeout} applied", failure.message).into();
    }
    failure
}
