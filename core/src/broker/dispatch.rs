//! Which worker gets a call, and which call waits.

use super::{
    Action, Broker,
    call::{Call, CallKey, Limits, State},
    candidates::Candidate,
    keyed,
    party::Waiting,
    queue::Whose,
    service::{Method, Service, near},
    worker::{Offer, WorkerKey},
};
use crate::{
    time::Time,
    wire::{
        envelope::{Dispatch, Envelope},
        ids::DispatchNumber,
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
        let service = self.services.get_mut(&call.service).expect("a call's service lives as long as it has calls");
        if call.method_number.is_none() {
            call.method_number = service.method(call.method.method());
            call.method_number.iter().for_each(|&method| service.methods[method].calls += 1);
        }
        let offered = call.method_number.map(|method| &service.methods[method]).filter(|method| method.is_offered());
        match offered.map(Method::effect) {
            Some(effect) if !call.may_run(effect) => {
                self.fail(now, key, Code::Unavailable, "it was sent before, and may have run", out);
            }
            Some(_) if call.broadcast => self.broadcast(now, key, out),
            Some(_) if !self.takes_turn(now, key, out) => {}
            Some(_) => match self.free_offer(&self.calls[key.0]) {
                Some(candidate) => match self.too_large(key, candidate.worker) {
                    Some(message) => self.fail(now, key, Code::ResourceExhausted, message, out),
                    None => self.start(now, key, candidate.worker, candidate.offer, out),
                },
                None => self.wait(now, key, None, out),
            },
            None => self.await_worker(now, key, out),
        }
    }

    /// Why a worker could not read a call that is its turn to have. Others may take more, but whom a call goes to is not its caller's
    /// business, so that its fate shall not depend on waiting for one of them.
    fn too_large(&self, key: CallKey, worker: WorkerKey) -> Option<String> {
        let (worker, bytes) = (&self.workers[&worker], self.calls[key.0].body.len());
        let max = worker.presence.body_bytes_max;
        (bytes > max)
            .then(|| format!("worker {} takes calls of {max} bytes at most, and this has {bytes}", worker.name))
    }

    /// Nobody serves this now: wait if somebody did a moment ago or the caller said so, else say so at once.
    fn await_worker(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        let call = &self.calls[key.0];
        let service = &self.services[&call.service];
        let lately = |method: usize| service.methods[method].awaited_until > now;
        let unknown = service.offers > 0 && !call.method_number.is_some_and(lately);
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
        let served = self.served.keys().map(String::as_str);
        let there = match self.served.len() {
            0 => "no worker is registered at this broker".to_owned(),
            1..=NAMED_MAX => format!("services there are: {}", served.collect::<Vec<_>>().join(", ")),
            many => format!("there are {many} services{}", did_you_mean(&near(name, served))),
        };
        format!("nobody serves {name}; {there}")
    }

    /// Lets a call wait in its service's queue, if there is room and it is its key's turn.
    pub(super) fn wait(&mut self, now: Time, key: CallKey, give_up: Option<Time>, out: &mut Vec<Action>) {
        if !self.takes_turn(now, key, out) {
            return;
        }
        match self.no_room(now, key) {
            Some(message) => self.exhausted(now, key, message, out),
            None => self.enqueue(key, give_up),
        }
    }

    /// Why there is no room for a call to wait. One that was at a worker, or has waited, was let in before; it is not refused now.
    pub(super) fn no_room(&mut self, now: Time, key: CallKey) -> Option<String> {
        let call = &self.calls[key.0];
        if call.dispatched || call.turn.as_ref().is_some_and(|turn| turn.let_in) {
            return None;
        }
        let (service, bytes) = (&self.services[&call.service], call.body.len());
        let (calls, waiting) = service.waiting();
        if calls >= self.settings.queue_calls_max || waiting + bytes > self.settings.queue_bytes_max {
            return Some(format!("{calls} calls wait for {} already", service.name));
        }
        let max = Waiting { calls: self.settings.waiting_calls_max, bytes: self.settings.waiting_bytes_max };
        match self.parties.room_for(call.party, bytes, max) {
            Err(full) => Some(full.to_string()),
            Ok(()) => self.too_old(now, key),
        }
    }

    /// Puts a call into its service's queue.
    pub(super) fn enqueue(&mut self, key: CallKey, give_up: Option<Time>) {
        self.find_worker(key);
        let caller = self.caller_of(&self.calls[key.0]);
        let call = &mut self.calls[key.0];
        let service = self.services.get_mut(&call.service).expect("a call's service lives as long as it has calls");
        call.detach();
        let session = caller.map_or(0, |client| client.0);
        let whose = Whose { party: call.party.0, priority: call.priority, session };
        let place = service.queue.push(whose, keyed::row(call), key, call.body.len());
        self.parties.begin_to_wait(call.party, call.body.len());
        call.state = State::Waiting { place, give_up };
        self.watch_call(key);
    }

    /// Why a new call would wait in vain: others of its party, for which there are workers, do already. Nobody pays for this whose
    /// operator set no such limit.
    fn too_old(&mut self, now: Time, key: CallKey) -> Option<String> {
        let max = self.settings.queue_age_max?;
        let (calls, call) = (&self.calls, &self.calls[key.0]);
        let Service { queue, methods, name, .. } = self.services.get_mut(&call.service)?;
        let since = |CallKey(key): CallKey| {
            let method = calls[key].method_number.map(|method| &methods[method]);
            // What waits for its own method's limit says nothing of how long others wait, nor does a part of a broadcast.
            let counts = method.is_some_and(|method| method.is_offered() && method.concurrency.is_none());
            (counts && calls[key].part_of.is_none()).then_some(calls[key].since)
        };
        // One that waits already was let in before.
        let is_new = call.since == now;
        let then = Time::ZERO + now.since(Time::ZERO).checked_sub(max).filter(|_| is_new)?;
        let CallKey(oldest) = queue.waiting_since(call.party.0, then, since)?;
        let waited = now.since(calls[oldest].since).as_millis();
        Some(format!(
            "calls of yours wait for {name} for {waited} ms already, and this broker's limit is {} ms",
            max.as_millis()
        ))
    }

    /// There is no room for a call to wait.
    pub(super) fn exhausted(&mut self, now: Time, key: CallKey, message: String, out: &mut Vec<Action>) {
        self.counters.queue_full += 1;
        let call = &self.calls[key.0];
        let service = &self.services[&call.service];
        let mut failure = call.failure(Code::ResourceExhausted, message);
        failure.retry_after = Some(service.pace.time_for(service.queue.len()));
        if let Some(connection) = self.caller_of(call).and_then(|client| self.client_connection(client)) {
            self.met_limit(connection);
        }
        self.end(now, key, Err(Box::new(failure)), out);
    }

    /// The best offer with room that has the call's method.
    fn free_offer(&self, call: &Call) -> Option<Candidate> {
        let (service, method) = (&self.services[&call.service], call.method_number?);
        if service.methods[method].is_full() {
            return None;
        }
        if let Some(of) = call.part_of {
            return self.offer_at(of.worker, call, method);
        }
        if call.turn.is_some() {
            return self.keyed_offer(service, call);
        }
        let mut free = service.free.iter();
        free.find(|candidate| self.workers[&candidate.worker].offers[candidate.offer].serves(method)).copied()
    }

    /// The best offer with room that a worker has for a call: of a call that no other may have.
    pub(super) fn offer_at(&self, key: WorkerKey, call: &Call, method: usize) -> Option<Candidate> {
        let worker = self.workers.get(&key).filter(|worker| worker.takes_calls_now())?;
        let fits = |offer: &Offer| offer.service == call.service && offer.serves(method) && offer.has_room();
        let offers = worker.offers.iter().enumerate().filter(|(_, offer)| fits(offer));
        offers.map(|(at, offer)| offer.candidate(key, at)).min()
    }

    /// Gives a worker as many waiting calls as it has room for.
    pub(super) fn fill_all(&mut self, now: Time, worker: WorkerKey, out: &mut Vec<Action>) {
        let offers = self.workers.get(&worker).map_or(0, |worker| worker.offers.len());
        (0..offers).for_each(|offer| self.fill(now, worker, offer, out));
    }

    /// Gives an offer as many waiting calls as it has room for.
    pub(super) fn fill(&mut self, now: Time, worker: WorkerKey, offer: usize, out: &mut Vec<Action>) {
        while let Some(call) = self.next_waiting(worker, offer) {
            self.place_next(now, call, out);
        }
    }

    /// Places a call that was taken from the queue.
    pub(super) fn place_next(&mut self, now: Time, call: CallKey, out: &mut Vec<Action>) {
        self.calls[call.0].state = State::New;
        self.place(now, call, out);
    }

    /// Takes from the queue the call whose turn it is at this offer.
    pub(super) fn next_waiting(&mut self, at: WorkerKey, offer: usize) -> Option<CallKey> {
        let worker = self.workers.get(&at).filter(|worker| worker.takes_calls_now())?;
        let offer = worker.offers.get(offer).filter(|offer| offer.has_room())?;
        let Service { queue, numbers, methods, .. } = self.services.get_mut(&offer.service)?;
        let fits = |&method: &usize| offer.serves(method) && !methods[method].is_full();
        if !keyed::has_row_for(queue, at, |method| fits(&method)) {
            return None;
        }
        let calls = &self.calls;
        let CallKey(key) = queue.pop_where(|CallKey(key)| {
            let method = calls[key].method_number.or_else(|| numbers.get(calls[key].method.method()).copied());
            method.filter(fits).is_some() && keyed::suits(&calls[key], at)
        })?;
        self.parties.end_to_wait(calls[key].party, calls[key].body.len());
        Some(CallKey(key))
    }

    /// Sends a call to a worker.
    fn start(&mut self, now: Time, key: CallKey, worker: WorkerKey, offer: usize, out: &mut Vec<Action>) {
        self.next_dispatch += 1;
        let number = DispatchNumber(self.next_dispatch);
        self.change_offer(worker, offer, |offer| offer.begin());
        self.count_unread(worker, number, self.calls[key.0].body.len());
        self.enter_method(key);
        let at = self.workers.get_mut(&worker).expect("the caller found room at it");
        at.running.insert(number.0, key);
        at.presence.calls += 1;
        let call = &mut self.calls[key.0];
        call.worker = at.name.clone();
        call.count_time(now, false);
        // A handback was no attempt, and parts of a broadcast are never sent again: neither earns a retry.
        if !call.dispatched && call.part_of.is_none() {
            let service = self.services.get_mut(&call.service).expect("it has this call");
            service.retries.called(&self.settings);
        }
        let declared = call.method_number.map(|method| self.services[&call.service].methods[method].effect());
        // What holds for this call from now on, even if the worker that declared it is lost with it.
        call.effect = call.effect.max(declared);
        let limits = call.method_number.map(|method| at.offers[offer].limits_of(method));
        call.limits = Limits::from(now, limits.unwrap_or_default());
        call.state = State::Running { worker, offer, dispatch: number, started: false };
        call.since = now;
        call.dispatched = true;
        self.counters.dispatches += 1;
        let affinity = self.bind(key, worker);
        let call = &self.calls[key.0];
        let dispatch = Dispatch {
            number,
            method: call.method.clone(),
            timeout: call.deadline.map(|deadline| deadline.since(now)),
            attempt: call.attempt(),
            call: call.id,
            affinity,
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
    pub(super) fn change_offer(&mut self, key: WorkerKey, at: usize, change: impl FnOnce(&mut Offer)) {
        let worker = self.workers.get_mut(&key).expect("the caller looked the worker up");
        let takes_calls = worker.takes_calls_now();
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
}

fn did_you_mean(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        _ => format!("; did you mean {}?", names.join(" or ")),
    }
}
