//! What is sent when: credit, numbers, what is sent again.

use super::{
    Action, Client,
    call::{Call, NewCall},
    calls::CallKey,
    phase::Phase,
};
use crate::{
    time::Time,
    wire::{
        envelope::{Credit, Envelope},
        ids::CallNumber,
        limits::HEADER_BYTES_MAX,
        status::{Code, Executed, Failure},
    },
};

impl<T> Client<T> {
    /// Somebody wants a call made.
    pub(super) fn call(&mut self, new: NewCall<T>, out: &mut Vec<Action<T>>) {
        let counter = if new.cast { &mut self.counters.casts } else { &mut self.counters.calls };
        *counter += 1;
        match &self.phase {
            Phase::Running => self.calls.push(new),
            Phase::Closing { .. } | Phase::Closed => {
                let failure = Failure::new(Code::Cancelled, Executed::No, "the client is closed, or is closing");
                self.reject_call(new, Box::new(failure), out);
            }
            Phase::Rejected(failure) => {
                let failure = failure.clone();
                self.reject_call(new, failure, out);
            }
        }
    }

    /// The broker grants more.
    pub(super) fn grant(&mut self, credit: Credit) {
        self.credit.calls = self.credit.calls.saturating_add(credit.calls);
        self.credit.bytes = self.credit.bytes.saturating_add(credit.bytes);
    }

    /// Sends what may be sent now: first the calls that were sent on an earlier connection, then those that wait.
    pub(super) fn send_ready(&mut self, now: Time, out: &mut Vec<Action<T>>) {
        if !self.peer.is_connected() {
            return;
        }
        self.send_again(now, out);
        if self.resend_from.is_none() {
            self.send_waiting(now, out);
        }
    }

    fn send_again(&mut self, now: Time, out: &mut Vec<Action<T>>) {
        while let Some(from) = self.resend_from {
            let Some((number, key)) = self.calls.open_from(from) else {
                self.resend_from = None;
                return;
            };
            let call = self.calls.at(key);
            if let Some(failure) = self.too_large(call) {
                self.fail(key, failure, out);
            } else if !call.is_expired(now) {
                // What is expired is left to its timer: the broker might say of it that it never ran.
                if !self.pay(key) {
                    self.resend_from = Some(number);
                    return;
                }
                self.counters.resent += 1;
                self.send_request(now, key, number, true, out);
            }
            self.resend_from = Some(CallNumber(number.0 + 1));
        }
    }

    fn send_waiting(&mut self, now: Time, out: &mut Vec<Action<T>>) {
        while let Some(key) = self.calls.first_waiting() {
            let call = self.calls.at(key);
            if call.is_expired(now) {
                self.expire_call(now, key, out);
            } else if let Some(failure) = self.too_large(call) {
                self.fail(key, failure, out);
            } else if !self.pay(key) {
                return;
            } else if self.calls.at(key).new.cast {
                self.send_cast(now, key, out);
            } else {
                let number = self.calls.next_number();
                self.calls.open(key, now);
                self.send_request(now, key, number, false, out);
            }
        }
    }

    fn send_request(&mut self, now: Time, key: CallKey, number: CallNumber, resend: bool, out: &mut Vec<Action<T>>) {
        let done_below = self.take_done_below();
        let request = self.calls.at(key).request(now, number, resend, done_below);
        let streams = request.streams;
        self.send(now, Envelope::Request(request), out);
        if !streams.style().is_unary() {
            self.open_streams(now, key, streams, out);
        }
    }

    /// A cast counts as done once it is sent. Its own header must not say so yet: the broker drops what is done.
    fn send_cast(&mut self, now: Time, key: CallKey, out: &mut Vec<Action<T>>) {
        let done_below = self.take_done_below();
        let number = self.calls.use_number();
        let cast = self.calls.remove(key);
        self.send(now, Envelope::Request(cast.request(now, number, false, done_below)), out);
        out.push(Action::Release { token: cast.new.token });
    }

    /// Takes from the credit what the call costs; false if there is not enough.
    fn pay(&mut self, key: CallKey) -> bool {
        let bytes = self.calls.at(key).new.body.len() as u64;
        if self.credit.calls == 0 || self.credit.bytes < bytes {
            return false;
        }
        self.credit.calls -= 1;
        self.credit.bytes -= bytes;
        true
    }

    /// What is wrong with a call that this broker never takes: sent, it would cost the connection, and again after each
    /// reconnect.
    fn too_large(&self, call: &Call<T>) -> Option<Box<Failure>> {
        let most = self.peer.welcome()?.message_bytes_max.saturating_sub(HEADER_BYTES_MAX as u64);
        let bytes = call.new.body.len() as u64;
        (bytes > most).then(|| {
            let text =
                format!("the arguments have {bytes} bytes, and the broker takes at most {most}: send less in one call");
            call.failure(Code::ResourceExhausted, text)
        })
    }

    /// Whether an open call is still to be sent on this connection.
    pub(super) fn waits_for_resend(&self, number: CallNumber) -> bool {
        self.resend_from.is_some_and(|from| from <= number)
    }

    /// The `done_below` to state now: only if it rose since it was stated last.
    pub(super) fn take_done_below(&mut self) -> Option<CallNumber> {
        let done_below = self.calls.done_below();
        let rose = done_below > self.done_below_sent;
        self.done_below_sent = self.done_below_sent.max(done_below);
        while self.cancelled.first().is_some_and(|&number| number < done_below) {
            self.cancelled.pop_first();
        }
        rose.then_some(done_below)
    }
}
