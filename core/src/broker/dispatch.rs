//! Which worker gets a call, which call waits, and how a call ends.

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    Action, Broker, Note,
    call::{Call, CallKey, Limits, State},
    client::{ClientKey, Outcome},
    queue::Place,
    service::{Candidate, Service, near},
    worker::WorkerKey,
};
use crate::{
    time::Time,
    wire::{
        envelope::{Cancel, Dispatch, Envelope, Reply},
        ids::{CallNumber, DispatchNumber},
        status::Code,
    },
};

/// How many services an error names one by one.
const NAMED_MAX: usize = 8;

impl Broker {
    /// Finds a call its place: at a worker, in the queue, or at its end.
    pub(super) fn place(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        let call = &mut self.calls[key.0];
        if call.deadline.is_some_and(|deadline| deadline <= now) {
            return self.fail(now, key, Code::DeadlineExceeded, "its time was up before it could start", out);
        }
        let service = &self.services[&call.service];
        call.method_number = call.method_number.or_else(|| service.method(call.method.method()));
        let offered = call.method_number.map(|method| &service.methods[method]).filter(|method| method.is_offered());
        match offered {
            Some(method) if !call.may_run(method.effect()) => {
                self.fail(now, key, Code::Unavailable, "it was sent before, and may have run", out);
            }
            Some(_) if call.broadcast => {
                if !self.broadcast(now, key, out) {
                    self.wait(now, key, None, out);
                }
            }
            Some(_) => match free_offer(service, &self.workers, call) {
                Some(candidate) => self.start(now, key, candidate.worker, candidate.offer, out),
                None => self.wait(now, key, None, out),
            },
            None => self.await_worker(now, key, out),
        }
    }

    /// Nobody serves this now: wait if somebody did a moment ago or the caller said so, else say so at once.
    fn await_worker(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        let call = &self.calls[key.0];
        let service = &self.services[&call.service];
        let unknown = service.offers > 0 && call.method_number.is_none();
        if call.wait_for_ready && !unknown {
            return self.wait(now, key, None, out);
        }
        let until = match call.method_number {
            Some(method) => service.methods[method].awaited_until,
            None if service.offers == 0 => service.awaited_until,
            None => now,
        };
        if until > now {
            return self.wait(now, key, Some(until), out);
        }
        let (code, message) = self.nobody(&self.calls[key.0]);
        self.fail(now, key, code, message, out);
    }

    /// Why nobody can run a call, with the names that its caller may have meant.
    pub(super) fn nobody(&self, call: &Call) -> (Code, String) {
        let service = &self.services[&call.service];
        if service.offers > 0 {
            let meant = did_you_mean(&service.near(call.method.method()));
            return (Code::Unimplemented, format!("{} has no method {}{meant}", service.name, call.method.method()));
        }
        (Code::Unavailable, self.nobody_serves(&service.name))
    }

    /// That nobody serves a service, with those that somebody does.
    pub(super) fn nobody_serves(&self, name: &str) -> String {
        let served: Vec<_> = self.services.values().filter(|s| s.offers > 0).map(|s| s.name.as_str()).collect();
        let there = match served.as_slice() {
            [] => "no worker is registered at this broker".to_owned(),
            few if few.len() <= NAMED_MAX => format!("services there are: {}", served.join(", ")),
            _ => {
                format!("there are {} services{}", served.len(), did_you_mean(&near(name, served.into_iter())))
            }
        };
        format!("nobody serves {name}; {there}")
    }

    /// Lets a call wait in its service's queue, if there is room.
    fn wait(&mut self, now: Time, key: CallKey, give_up: Option<Time>, out: &mut Vec<Action>) {
        let call = &mut self.calls[key.0];
        let service = self.services.get_mut(&call.service).expect("a call's service lives as long as it has calls");
        let (queue, bytes) = (&mut service.queue, call.body.len());
        let full =
            queue.len() >= self.settings.queue_calls_max || queue.bytes() + bytes > self.settings.queue_bytes_max;
        // One that was at a worker was let in before; it is not refused now.
        if full && !call.dispatched {
            return self.queue_full(now, key, out);
        }
        call.detach();
        let lane = call.client.map_or(0, |client| client.0);
        let row = call.method_number.unwrap_or(usize::MAX);
        let place = queue.push(lane, row, key, bytes);
        call.state = State::Waiting { place, give_up };
        self.watch_call(key);
    }

    fn queue_full(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        self.counters.queue_full += 1;
        let call = &self.calls[key.0];
        let service = &self.services[&call.service];
        let message = format!("{} calls wait for {} already", service.queue.len(), service.name);
        let mut failure = call.failure(Code::ResourceExhausted, message);
        failure.retry_after = Some(service.pace.time_for(service.queue.len()));
        if let Some(link) = call.client.and_then(|client| self.client_link(client)) {
            self.met_limit(link);
        }
        self.end(now, key, Err(Box::new(failure)), out);
    }

    /// Gives an offer as many waiting calls as it has room for.
    pub(super) fn fill(&mut self, now: Time, worker: WorkerKey, offer: usize, out: &mut Vec<Action>) {
        self.keep_promises(now, worker, offer, out);
        while let Some(call) = self.next_waiting(worker, offer) {
            self.calls[call.0].state = State::New;
            self.place(now, call, out);
        }
    }

    /// Takes from the queue the call whose turn it is at this offer.
    fn next_waiting(&mut self, worker: WorkerKey, offer: usize) -> Option<CallKey> {
        let worker = self.workers.get(&worker).filter(|worker| worker.takes_calls())?;
        let offer = worker.offers.get(offer).filter(|offer| offer.has_room())?;
        let Service { queue, numbers, .. } = self.services.get_mut(&offer.service)?;
        let calls = &self.calls;
        queue.pop_where(|CallKey(key)| {
            let method = calls[key].method_number.or_else(|| numbers.get(calls[key].method.method()).copied());
            method.is_some_and(|method| offer.serves(method))
        })
    }

    /// Sends a call to a worker.
    pub(super) fn start(&mut self, now: Time, key: CallKey, worker: WorkerKey, offer: usize, out: &mut Vec<Action>) {
        self.next_dispatch += 1;
        let number = DispatchNumber(self.next_dispatch);
        self.change_offer(worker, offer, |offer| offer.begin());
        let at = self.workers.get_mut(&worker).expect("the caller found room at it");
        at.running.insert(number, key);
        at.presence.calls += 1;
        let call = &mut self.calls[key.0];
        call.worker = at.name.clone();
        call.count_time(now, false);
        if call.attempt() == 1 {
            let service = self.services.get_mut(&call.service).expect("it has this call");
            service.retries.called(&self.settings);
        }
        let declared = call.method_number.map(|method| self.services[&call.service].methods[method].effect());
        // What holds for this call from now on, even if the worker that declared it is lost with it.
        call.effect = call.effect.max(declared);
        if let Some(method) = call.method_number {
            call.limits = Limits::from(now, self.services[&call.service].methods[method].limits);
        }
        call.state = State::Running { worker, offer, dispatch: number, started: false };
        call.since = now;
        call.dispatched = true;
        self.counters.dispatches += 1;
        let dispatch = Dispatch {
            number,
            method: call.method.clone(),
            timeout: call.deadline.map(|deadline| deadline.since(now)),
            attempt: call.attempt(),
            call: call.id,
            streams: call.streams,
            extensions: call.extensions.clone(),
            body: call.body.clone(),
        };
        self.watch_call(key);
        self.speak_to_worker(now, worker, Envelope::Dispatch(dispatch), out);
        if self.calls[key.0].flows.is_some() {
            self.open_streams(now, key, out);
        }
    }

    /// Changes an offer, and with it its place among the candidates of its service.
    pub(super) fn change_offer(&mut self, key: WorkerKey, at: usize, change: impl FnOnce(&mut super::worker::Offer)) {
        let worker = self.workers.get_mut(&key).expect("the caller looked the worker up");
        let takes_calls = worker.takes_calls();
        let offer = &mut worker.offers[at];
        let service = self.services.get_mut(&offer.service).expect("an offered service exists");
        service.free.remove(&offer.candidate(key, at));
        service.running -= u64::from(offer.running);
        change(offer);
        service.running += u64::from(offer.running);
        if offer.has_room() && takes_calls {
            service.free.insert(offer.candidate(key, at));
        }
    }

    /// A call's time is up, or it has waited long enough for a worker.
    pub(super) fn time_is_up(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        let call = &mut self.calls[key.0];
        call.timer = None;
        let expired = call.deadline.is_some_and(|deadline| deadline <= now);
        match call.state {
            State::Gathering => self.end_broadcast(now, key, out),
            State::Running { .. } if !expired || call.client.is_none() => self.limit_is_over(now, key, out),
            State::Running { worker, dispatch, .. } => {
                let failure = call.failure(Code::DeadlineExceeded, "its time was up while it ran");
                self.settle(now, key, Err(Box::new(failure)), Bytes::new(), out);
                self.stop_running(now, key, worker, dispatch, out);
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
    pub(super) fn take(&mut self, key: CallKey) -> Call {
        self.unwatch_call(key);
        if let State::Waiting { place, .. } = self.calls[key.0].state {
            self.leave_queue(key, place);
        }
        let call = self.calls.remove(key.0);
        if let Some(service) = self.services.get_mut(&call.service) {
            service.calls -= 1;
            // A name that nobody ever served costs memory for as long as somebody waits for it.
            if service.calls == 0 && service.methods.is_empty() && service.offers == 0 {
                self.remove_service(call.service);
            }
        }
        call
    }

    pub(super) fn leave_queue(&mut self, key: CallKey, place: Place) {
        let call = &mut self.calls[key.0];
        call.state = State::New;
        if let Some(service) = self.services.get_mut(&call.service) {
            service.queue.remove(place);
        }
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
            if let Some(client) = self.clients.get_mut(&client) {
                client.remember(number, to_remember.as_ref().unwrap_or(&outcome), &extensions);
            }
            return self.tell(now, client, number, outcome, extensions, out);
        }
        if let Err(failure) = outcome {
            self.counters.casts_failed += 1;
            out.push(Action::Note(Note::CastFailed { call: call.id, method: call.method.to_string(), failure }));
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
        let Some(client) = self.clients.get_mut(&key).filter(|client| client.presence.is_some()) else { return };
        let credit = client.credit.grant();
        self.speak_to_client(now, key, Envelope::Reply(Reply { number: number.0, outcome, credit, extensions }), out);
    }

    /// The credit that a call used goes back to the connection that paid it, once.
    pub(super) fn pay_back(&mut self, key: CallKey) {
        let call = &self.calls[key.0];
        let Some(client) = call.client.and_then(|client| self.clients.get_mut(&client)) else { return };
        if client.connection == call.paid_on {
            client.credit.owe(call.bytes);
        }
    }
}

/// The best offer with room that has the call's method.
fn free_offer(
    service: &Service,
    workers: &std::collections::BTreeMap<WorkerKey, super::Worker>,
    call: &Call,
) -> Option<Candidate> {
    let method = call.method_number?;
    service.free.iter().find(|candidate| workers[&candidate.worker].offers[candidate.offer].serves(method)).copied()
}

fn did_you_mean(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        _ => format!("; did you mean {}?", names.join(" or ")),
    }
}
