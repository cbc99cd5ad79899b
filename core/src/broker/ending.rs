//! How a call ends: by its time, by a failure here, or by its worker's word; told once, remembered, counted.

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    Action, Broker, Diagnostic,
    call::{Call, CallKey, State},
    client::{ClientKey, Outcome},
    queue::Place,
    worker::WorkerKey,
};
use crate::{
    time::Time,
    wire::{
        envelope::{Cancel, Envelope, Reply},
        ids::{CallNumber, DispatchNumber},
        status::{Code, Executed, Failure},
    },
};

impl Broker {
    /// A call's time is up, or it has waited long enough for a worker.
    pub(super) fn time_is_up(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        let call = &mut self.calls[key.0];
        let expired = call.deadline.is_some_and(|deadline| deadline <= now);
        match call.state {
            State::Gathering => self.end_broadcast(now, key, out),
            State::Running { .. } if !expired || call.client.is_none() => self.limit_is_over(now, key, out),
            State::Running { worker, dispatch, .. } => {
                let failure = call.failure(Code::DeadlineExceeded, "its time was up while it ran");
                self.settle(now, key, Err(Box::new(failure)), Bytes::new(), out);
                self.stop_running(now, key, worker, dispatch, out);
            }
            State::Blocked => {
                let text = "its time was up while it waited for other calls of its key";
                self.fail(now, key, Code::DeadlineExceeded, text, out);
            }
            _ if expired => {
                self.fail(now, key, Code::DeadlineExceeded, "its time was up while it waited for a worker", out);
            }
            _ => {
                let (code, message) = self.nobody(&self.calls[key.0]);
                self.fail(now, key, code, message, out);
            }
        }
    }

    /// Asks a worker to stop a call whose outcome nobody waits for. Its slot is free when the worker has said its last word.
    pub(super) fn stop_running(
        &mut self,
        now: Time,
        key: CallKey,
        worker: WorkerKey,
        dispatch: DispatchNumber,
        out: &mut Vec<Action>,
    ) {
        self.watch_call(key);
        self.calls[key.0].body = Bytes::new();
        let cancel = Cancel { number: dispatch.0, done_below: None };
        self.speak_to_worker(now, worker, Envelope::Cancel(cancel), out);
    }

    /// Ends a call that failed here.
    pub(super) fn fail(
        &mut self,
        now: Time,
        key: CallKey,
        code: Code,
        message: impl Into<ByteString>,
        out: &mut Vec<Action>,
    ) {
        let failure = self.calls[key.0].failure(code, message);
        self.end(now, key, Err(Box::new(failure)), out);
    }

    /// Ends a call that is at no worker.
    pub(super) fn end(&mut self, now: Time, key: CallKey, outcome: Outcome, out: &mut Vec<Action>) {
        self.settle(now, key, outcome, Bytes::new(), out);
        self.take(key);
    }

    /// Takes a call out of every table but its worker's and its client's.
    pub(super) fn take(&mut self, key: CallKey) {
        self.unwatch_call(key);
        if let State::Waiting { place, .. } = self.calls[key.0].state {
            self.leave_queue(key, place);
        }
        self.leave_turn(key);
        let Call { service: of, method_number, .. } = self.calls[key.0];
        self.calls.remove(key.0);
        let Some(service) = self.services.get_mut(&of) else { return };
        service.calls -= 1;
        method_number.iter().for_each(|&method| service.methods[method].calls -= 1);
        // A name that nobody ever served costs memory for as long as somebody waits for it.
        if service.calls == 0 && service.methods.is_empty() && service.offers == 0 {
            self.remove_service(of);
        }
    }

    pub(super) fn leave_queue(&mut self, key: CallKey, place: Place) {
        let call = &mut self.calls[key.0];
        call.state = State::New;
        if let Some(service) = self.services.get_mut(&call.service) {
            service.queue.remove(place);
        }
        self.parties.end_to_wait(call.party, call.body.len());
    }

    /// Gives a call its one outcome: told to its client, remembered for it, counted. Later words on it are not listened to.
    pub(super) fn settle(
        &mut self,
        now: Time,
        key: CallKey,
        outcome: Outcome,
        extensions: Bytes,
        out: &mut Vec<Action>,
    ) {
        if let Some(of) = self.calls[key.0].part_of.take() {
            return self.gathered(now, of, outcome, out);
        }
        self.pay_back(key);
        let to_remember = self.calls[key.0].without_items(&outcome);
        self.close_streams(key);
        let call = &mut self.calls[key.0];
        let Some(client) = call.client.take() else { return };
        let mut outcome = outcome;
        if let Err(failure) = &mut outcome {
            call.count_time(now, matches!(call.state, State::Running { .. }));
            failure.spent = call.spent;
        }
        match &outcome {
            Ok(_) => self.counters.answered += 1,
            Err(_) => self.counters.failed += 1,
        }
        if let Some(service) = self.services.get_mut(&call.service) {
            service.count(now, &outcome);
        }
        if !call.cast {
            let number = call.id.number;
            self.remember(client, number, to_remember.as_ref().unwrap_or(&outcome), &extensions);
            return self.tell(now, client, number, outcome, extensions, out);
        }
        if let Err(failure) = outcome {
            self.counters.casts_failed += 1;
            out.push(Action::Log(Diagnostic::CastFailed { call: call.id, method: call.method.to_string(), failure }));
        }
        self.grant(now, client, out);
    }

    /// Tells a client an outcome, with credit that is due.
    pub(super) fn tell(
        &mut self,
        now: Time,
        key: ClientKey,
        number: CallNumber,
        outcome: Outcome,
        extensions: Bytes,
        out: &mut Vec<Action>,
    ) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let Some(max) = client.presence.as_ref().map(|presence| presence.body_bytes_max) else { return };
        let (outcome, credit) = (fitting(outcome, max), client.credit.grant());
        self.speak_to_client(now, key, Envelope::Reply(Reply { number: number.0, outcome, credit, extensions }), out);
    }

    /// The credit that a call used goes back to the connection that paid it, once.
    pub(super) fn pay_back(&mut self, key: CallKey) {
        let call = &self.calls[key.0];
        let Some(client) = call.client.and_then(|client| self.clients.get_mut(&client)) else { return };
        if client.connection_number == call.paid_on {
            client.credit.owe(call.bytes);
        }
    }
}

/// An outcome that its client can read, by its own word: instead of one that is larger, that it is.
fn fitting(outcome: Outcome, max: usize) -> Outcome {
    let (bytes, executed) = match &outcome {
        Ok(body) => (body.len(), Executed::Yes),
        Err(failure) => (failure.details.len(), failure.executed),
    };
    if bytes <= max {
        return outcome;
    }
    let text = format!("its outcome has {bytes} bytes, and this client takes {max} at most");
    Err(Box::new(Failure::new(Code::ResourceExhausted, executed, text)))
}
