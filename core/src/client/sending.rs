//! The sending of requests: credit, numbers, resends.

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
    /// Queues a new call, or fails it if the client accepts none.
    pub(super) fn call(&mut self, new: NewCall<T>, out: &mut Vec<Action<T>>) {
        let counter = if new.cast { &mut self.counters.casts } else { &mut self.counters.calls };
        *counter += 1;
        match &self.phase {
            Phase::Running => self.calls.push(new),
            Phase::Closing { .. } | Phase::Closed => {
                let failure = Failure::new(Code::Cancelled, Executed::No, "the client is closed or closing");
                self.reject_call(new, Box::new(failure), out);
            }
            Phase::Rejected(failure) => {
                let failure = failure.clone();
                self.reject_call(new, failure, out);
            }
        }
    }

    /// Adds credit that the broker grants.
    pub(super) fn add_credit(&mut self, credit: Credit) {
        self.credit.calls = self.credit.calls.saturating_add(credit.calls);
        self.credit.bytes = self.credit.bytes.saturating_add(credit.bytes);
    }

    /// Sends what credit allows: first the calls that were sent on an earlier connection, then the waiting ones.
    pub(super) fn send_ready(&mut self, now: Time, out: &mut Vec<Action<T>>) {
        if !self.peer.is_connected() {
            return;
        }
        self.resend_open(now, out);
        if self.resend_from.is_none() {
            self.send_waiting(now, out);
        }
    }

    fn resend_open(&mut self, now: Time, out: &mut Vec<Action<T>>) {
        while let Some(from) = self.resend_from {
            let Some((number, key)) = self.calls.open_from(from) else {
                self.resend_from = None;
                return;
            };
            let call = self.calls.at(key);
            if let Some(failure) = self.too_large(call) {
                self.fail(key, failure, out);
            } else if !call.is_expired(now) {
                // An expired call is left to its timer. The broker could answer a resend of it that it never ran.
                if !self.spend_credit(key) {
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
            } else if !self.spend_credit(key) {
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
        if !streams.style.is_unary() {
            self.open_streams(now, key, streams, out);
        }
    }

    /// Sends a cast. It counts as done once it is sent, but not in its own header: the broker drops calls that are done.
    fn send_cast(&mut self, now: Time, key: CallKey, out: &mut Vec<Action<T>>) {
        let done_below = self.take_done_below();
        let number = self.calls.use_number();
        let cast = self.calls.remove(key);
        self.send(now, Envelope::Request(cast.request(now, number, false, done_below)), out);
        out.push(Action::Release { token: cast.new.token });
    }

    /// Deducts the cost of a call from the credit. Returns false if there is not enough.
    fn spend_credit(&mut self, key: CallKey) -> bool {
        let bytes = self.calls.at(key).new.body.len() as u64;
        if self.credit.calls == 0 || self.credit.bytes < bytes {
            return false;
        }
        self.credit.calls -= 1;
        self.credit.bytes -= bytes;
        true
    }

    /// Returns the failure of a call that exceeds the broker's size limit. Sending it would close the connection, again after
    /// each reconnect.
    fn too_large(&self, call: &Call<T>) -> Option<Box<Failure>> {
        let max = self.peer.welcome()?.message_bytes_max.saturating_sub(HEADER_BYTES_MAX as u64);
        let bytes = call.new.body.len() as u64;
        (bytes > max).then(|| {
            let text = format!(
                "the arguments have {bytes} bytes, and the broker accepts at most {max}: send less in one call"
            );
            call.failure(Code::ResourceExhausted, text)
        })
    }

    /// Returns whether an open call has not been sent on this connection yet.
    pub(super) fn waits_for_resend(&self, number: CallNumber) -> bool {
        self.resend_from.is_some_and(|from| from <= number)
    }

    /// Returns the `done_below` to send now, if it has risen since the last one.
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
