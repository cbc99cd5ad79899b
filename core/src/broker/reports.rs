//! What workers say.

use bytes::Bytes;

use super::{
    Action, Broker, Diagnostic,
    call::{Call, CallKey, State},
    keyed::Loose,
    own,
    service::ServiceKey,
    timers::Timer,
    worker::{Offer, Served, WorkerKey},
};
use crate::{
    body,
    time::Time,
    wire::{
        bundle::EnvelopeError,
        envelope::{Credit, Envelope, KeyFreed, Reply},
        handshake::{self, MethodOffer, Register},
        ids::DispatchNumber,
        kind::Kind,
        limits::{self, HANDBACK_REST},
        method,
        status::{Code, Executed, Failure},
    },
};

impl Broker {
    /// A worker says what it serves, in place of what it said before.
    pub(super) fn register(&mut self, now: Time, key: WorkerKey, body: &Bytes, out: &mut Vec<Action>) {
        let invalid = |message: String| Box::new(Failure::new(Code::InvalidArgument, Executed::No, message));
        if !self.workers.get_mut(&key).is_some_and(|worker| worker.may_register(now)) {
            let (max, span) = (limits::REGISTRATIONS_MAX, limits::REGISTRATIONS_SPAN);
            let message = format!("a worker registers at most {max} times within {span:?}");
            let connection = self.workers[&key].presence.connection;
            return self.send_away(now, connection, Failure::new(Code::ResourceExhausted, Executed::No, message), out);
        }
        let checked = body::decode::<Register>(body)
            .map_err(|error| invalid(format!("a registration of wrong form: {error}")))
            .and_then(|register| self.check_register(key, &register).map(|()| register));
        match checked {
            Ok(register) => self.take_offers(now, key, register, out),
            Err(failure) => {
                let connection = self.workers[&key].presence.connection;
                self.send_away(now, connection, *failure, out);
            }
        }
    }

    fn check_register(&self, key: WorkerKey, register: &Register) -> Result<(), Box<Failure>> {
        let refuse = |code, message: String| Err(Box::new(Failure::new(code, Executed::No, message)));
        if register.offers.len() > limits::OFFERS_MAX {
            return refuse(Code::InvalidArgument, format!("a worker offers at most {} services", limits::OFFERS_MAX));
        }
        if !self.workers[&key].offers.is_empty() && !self.workers[&key].running.is_empty() {
            return refuse(Code::FailedPrecondition, "register again when nothing runs".to_owned());
        }
        if register.offers.iter().map(|offer| offer.keys.len()).sum::<usize>() > limits::KEYS_HELD_MAX {
            return refuse(Code::InvalidArgument, format!("more than {} keys are in use", limits::KEYS_HELD_MAX));
        }
        for offer in &register.offers {
            check_offer(offer).or_else(|message| refuse(Code::InvalidArgument, message))?;
            let pool = register.exclusive && offer.service.starts_with(own::POOL_PREFIX);
            if own::is_reserved(&offer.service) && !pool {
                return refuse(Code::PermissionDenied, format!("the name {} belongs to the broker", offer.service));
            }
            if !self.settings.services.allows(&offer.service) {
                let (service, allowed) = (&offer.service, &self.settings.services);
                let message = format!("{service} may not be served at this broker: its setting services is {allowed}");
                return refuse(Code::PermissionDenied, message);
            }
            let Some(service) = self.service_names.get(&offer.service).map(|key| &self.services[key]) else { continue };
            let taken = service.exclusive.is_some_and(|owner| owner != key);
            let shared = register.exclusive && service.exclusive != Some(key) && service.offers > 0;
            if taken || shared {
                let name = offer.service.strip_prefix(own::POOL_PREFIX).unwrap_or(&offer.service);
                return refuse(
                    Code::FailedPrecondition,
                    format!("the name {name} is in use at this broker; choose another"),
                );
            }
        }
        Ok(())
    }

    fn take_offers(&mut self, now: Time, key: WorkerKey, register: Register, out: &mut Vec<Action>) {
        self.end_waiting_parts(now, key, out);
        self.withdraw_offers(now, key);
        let mut services: Vec<_> = register.offers.iter().map(|offer| offer.service.clone()).collect();
        services.dedup();
        let mut touched = Vec::new();
        for offer in &register.offers {
            touched.push(self.take_offer(now, key, offer, register.exclusive));
        }
        touched.sort_unstable();
        touched.dedup();
        for service in &touched {
            self.services.get_mut(service).expect("just offered").workers += 1;
        }
        self.own_answers.clear();
        let worker = &self.workers[&key];
        out.push(Action::Log(Diagnostic::WorkerJoined {
            connection: worker.presence.connection,
            name: worker.name.clone(),
            services,
            key: worker.principal.key.clone(),
        }));
        for service in touched {
            self.rouse(now, service, out);
            // It may have said that more calls of a method may run than before.
            self.loose.insert(Loose::Method(service));
        }
        self.fill_all(now, key, out);
    }

    fn take_offer(&mut self, now: Time, key: WorkerKey, offer: &handshake::Offer, exclusive: bool) -> ServiceKey {
        let service_key = self.service_key(now, &offer.service);
        let service = self.services.get_mut(&service_key).expect("just looked up or made");
        if service.offers == 0 {
            self.served.insert(offer.service.clone(), service_key);
        }
        service.offers += 1;
        service.slots += u64::from(offer.slots);
        service.exclusive = exclusive.then_some(key).or(service.exclusive);
        offer.contract.iter().for_each(|contract| service.contracts.add(contract));
        let served = |offered: &MethodOffer| {
            Some(Served { method: service.add(offered)?, effect: offered.effect, limits: offered.limits })
        };
        let methods = offer.methods.iter().filter_map(served).collect();
        let worker = self.workers.get_mut(&key).expect("the caller looked the worker up");
        worker.offers.push(Offer::new(service_key, offer, methods));
        let at = worker.offers.len() - 1;
        self.change_offer(key, at, |_| {});
        self.hold_keys(key, service_key, &offer.keys);
        service_key
    }

    /// A service has a worker (again): what waited for that is looked at anew.
    fn rouse(&mut self, now: Time, service: ServiceKey, out: &mut Vec<Action>) {
        let waiting: Vec<CallKey> = self.services[&service].queue.iter().collect();
        for key in waiting {
            let Some(Call { state: State::Waiting { place, give_up }, method, method_number, .. }) =
                self.calls.get_mut(key.0)
            else {
                continue;
            };
            let number = method_number.or_else(|| self.services[&service].method(method.method()));
            let needs_look = number.is_none() || number != *method_number || give_up.is_some();
            if needs_look {
                let place = *place;
                self.leave_queue(key, place);
                self.place(now, key, out);
            }
        }
    }

    /// A call's outcome, in its worker's words.
    pub(super) fn reply(&mut self, now: Time, key: WorkerKey, reply: Reply, out: &mut Vec<Action>) {
        let Some((call, _)) = self.last_word(now, key, DispatchNumber(reply.number), out) else { return };
        self.learn_pace(now, call);
        let mut outcome = reply.outcome;
        self.workers.get_mut(&key).expect("it had this call").count(&outcome);
        if let Err(failure) = &mut outcome {
            let call = &self.calls[call.0];
            failure.attempt = call.attempt();
            failure.worker = call.worker.clone();
            // This worker speaks for itself; an earlier one may have run the call all the same.
            if call.ran_before() && failure.executed == Executed::No {
                failure.executed = Executed::Maybe;
            }
        }
        self.settle(now, call, outcome, reply.extensions, out);
        self.take(call);
        self.fill_all(now, key, out);
    }

    /// A call ended at its worker: how long its service's calls take is what those that wait are told. One that nobody waited for
    /// any more says nothing of that.
    fn learn_pace(&mut self, now: Time, call: CallKey) {
        let call = &self.calls[call.0];
        if call.is_wanted()
            && let Some(service) = self.services.get_mut(&call.service)
        {
            service.pace.ran(now.since(call.since));
        }
    }

    /// A call comes back unstarted: that was no attempt, and another worker may have it whatever its effect.
    pub(super) fn handback(&mut self, now: Time, key: WorkerKey, number: DispatchNumber, out: &mut Vec<Action>) {
        let Some((call, offer)) = self.last_word(now, key, number, out) else { return };
        self.calls[call.0].count_time(now, true);
        self.calls[call.0].leave_worker();
        self.rest(now, key, offer);
        if self.calls[call.0].client.is_some() {
            self.place_again(now, call, out);
        } else if self.calls[call.0].part_of.is_some() {
            self.fail(now, call, Code::Unavailable, "its worker gave it back", out);
        } else {
            self.take(call);
        }
        self.fill_all(now, key, out);
    }

    /// An offer gave a call back though it was not asked to: it is given none for a moment. Else the two would throw the call to
    /// and fro as fast as the network is. A worker that drains is given nothing in any case.
    fn rest(&mut self, now: Time, key: WorkerKey, at: usize) {
        let worker = &self.workers[&key];
        if worker.draining || worker.offers[at].resting.is_some() {
            return;
        }
        let until = now + HANDBACK_REST;
        self.change_offer(key, at, |offer| offer.resting = Some(until));
        self.timers.insert((until, Timer::Rest(key, at)));
    }

    /// An offer has rested.
    pub(super) fn rested(&mut self, now: Time, key: WorkerKey, at: usize, out: &mut Vec<Action>) {
        self.change_offer(key, at, |offer| offer.resting = None);
        self.fill(now, key, at, out);
    }

    /// Places a call that a worker gave back or was lost with, unless the broker is ending.
    pub(super) fn place_again(&mut self, now: Time, call: CallKey, out: &mut Vec<Action>) {
        if let Some(flows) = &mut self.calls[call.0].flows {
            flows.handler_begins_anew();
        }
        if self.leaving.is_some() {
            return self.fail(now, call, Code::Unavailable, "the broker is shutting down", out);
        }
        self.calls[call.0].since = now;
        self.place(now, call, out);
    }

    /// A worker's last word on a dispatch frees its slot. `None` if the dispatch is not its own (any more).
    fn last_word(
        &mut self,
        now: Time,
        key: WorkerKey,
        number: DispatchNumber,
        out: &mut Vec<Action>,
    ) -> Option<(CallKey, usize)> {
        let worker = self.workers.get_mut(&key).expect("a connection that is a worker's has a worker");
        let Some(call) = worker.running.remove(number.0) else {
            self.counters.stale += 1;
            return None;
        };
        let State::Running { offer, .. } = self.calls[call.0].state else {
            unreachable!("what a worker runs is in the state of running");
        };
        let idle = self.fresh_key();
        self.change_offer(key, offer, |offer| offer.end(idle));
        self.has_read(key, number);
        self.leave_method(call);
        self.unstick(now, key, call, out);
        let service = self.services.get_mut(&self.calls[call.0].service).expect("it has this call");
        service.pace.ended(now, service.queue.len());
        Some((call, offer))
    }

    /// A handler has begun, and takes its time: what the call holds of read buffers is copied out of them.
    pub(super) fn begun(&mut self, now: Time, key: WorkerKey, number: DispatchNumber, out: &mut Vec<Action>) {
        let Some(call) = self.workers.get(&key).and_then(|worker| worker.running.get(number.0)) else {
            self.counters.stale += 1;
            return;
        };
        let call = &mut self.calls[call.0];
        if let State::Running { started, .. } = &mut call.state {
            *started = true;
        }
        call.detach();
        if self.has_read(key, number) {
            self.fill_all(now, key, out);
        }
    }

    /// A call of an earlier connection has ended at a worker: there is a slot more.
    pub(super) fn slots_freed(&mut self, now: Time, key: WorkerKey, credit: Credit, out: &mut Vec<Action>) {
        let at = credit.offer as usize;
        let Some(offer) = self.workers.get(&key).and_then(|worker| worker.offers.get(at)) else { return };
        let room_max = offer.slots.saturating_add(offer.prefetch);
        self.change_offer(key, at, |offer| offer.room = offer.room.saturating_add(credit.calls).min(room_max));
        self.fill(now, key, at, out);
    }

    /// The same of a call with an affinity key.
    pub(super) fn slot_and_key_freed(&mut self, now: Time, key: WorkerKey, freed: &KeyFreed, out: &mut Vec<Action>) {
        self.key_freed(key, freed);
        self.slots_freed(now, key, Credit { calls: 1, bytes: 0, offer: freed.offer }, out);
    }

    /// A worker takes no more calls.
    pub(super) fn drain(&mut self, now: Time, key: WorkerKey, out: &mut Vec<Action>) {
        let Some(worker) = self.workers.get_mut(&key) else { return };
        worker.draining = true;
        out.push(Action::Log(Diagnostic::WorkerDraining { name: worker.name.clone() }));
        for at in 0..self.workers[&key].offers.len() {
            self.change_offer(key, at, |_| {});
        }
        self.unbind(key);
        self.end_waiting_parts(now, key, out);
    }

    /// A reply that could not be read ends its call all the same: nobody shall wait for words that do not come.
    pub(super) fn refuse_report(&mut self, now: Time, key: WorkerKey, refused: &EnvelopeError, out: &mut Vec<Action>) {
        if self.refuse_handler_item(now, key, refused, out) {
            return;
        }
        let reply = refused.kind == Some(u64::from(Kind::Reply.number()));
        if let Some(number) = refused.number.filter(|_| reply) {
            let message = format!("the worker's reply could not be read: {refused}");
            let outcome = Err(Box::new(Failure::new(Code::Internal, Executed::Yes, message)));
            self.reply(now, key, Reply { number, outcome, credit: None, extensions: Bytes::new() }, out);
        }
    }

    /// Sends to a worker.
    pub(super) fn speak_to_worker(&mut self, now: Time, key: WorkerKey, envelope: Envelope, out: &mut Vec<Action>) {
        let Some(worker) = self.workers.get_mut(&key) else { return };
        worker.presence.speaks(now, &envelope);
        out.push(Action::Send(worker.presence.connection, envelope));
    }
}

fn check_offer(offer: &handshake::Offer) -> Result<(), String> {
    method::check_service(&offer.service).map_err(|error| error.to_string())?;
    if offer.slots == 0 || offer.slots > limits::SLOTS_MAX || offer.prefetch > limits::SLOTS_MAX {
        return Err(format!("{} must have 1 to {} slots", offer.service, limits::SLOTS_MAX));
    }
    if offer.methods.len() > limits::METHODS_MAX {
        return Err(format!("{} has more than {} methods", offer.service, limits::METHODS_MAX));
    }
    if offer.keys.len() > (offer.slots - offer.free.min(offer.slots)) as usize {
        return Err(format!("{}: more keys are in use than slots", offer.service));
    }
    let longest = offer.methods.iter().map(|method| method.name.len()).max().unwrap_or(0);
    if offer.service.len() + 1 + longest > limits::NAME_BYTES_MAX {
        let max = limits::NAME_BYTES_MAX;
        return Err(format!("{}: SERVICE.METHOD has at most {max} bytes together", offer.service));
    }
    let description = offer.contract.as_ref().and_then(|contract| contract.description.as_ref());
    if description.is_some_and(|description| description.len() > limits::DESCRIPTION_BYTES_MAX) {
        let max = limits::DESCRIPTION_BYTES_MAX;
        return Err(format!("{}: its description has more than {max} bytes", offer.service));
    }
    if let Some(method) = offer.methods.iter().find(|method| method.limits.concurrency == Some(0)) {
        return Err(format!("{}.{} must be allowed to run 1 call at least", offer.service, method.name));
    }
    let names = offer.methods.iter().flat_map(|method| method.arguments.iter().chain([&method.name]));
    names.into_iter().try_for_each(|name| method::check_identifier(name)).map_err(|error| error.to_string())
}
