//! The messages of clients and workers, one method for each kind.

use std::time::Duration;

use bytes::Bytes;

use super::super::{
    calls::{Call, CallOrigin, CallState, RetryBudget},
    deferred::DeferredWork,
    flow::{StreamFailure, unreadable_item},
    interface::{Action, Diagnostic},
    keys::{CallKey, ClientKey, ServiceKey, WorkerKey},
    permissions,
    registry::Service,
    reserved,
    sessions::RequestStatus,
    timers::Timer,
};
use super::state::Broker;
use crate::{
    body,
    stream::StreamError,
    text::HumanDuration,
    time::Time,
    wire::{
        bundle::{EnvelopeError, EnvelopeErrorReason},
        envelope::{Cancel, Credit, End, Envelope, Items, KeyFreed, Ping, Reply, Request, StreamCredit},
        extensions::Extensions,
        handshake::{self, Register},
        ids::{CallNumber, DispatchNumber},
        kind::Kind,
        limits::{self, HANDBACK_PAUSE},
        status::{Code, Executed, Failure},
    },
};

/// Requests, cancels and acknowledgements of clients.
impl Broker {
    pub(super) fn on_request(&mut self, now: Time, key: ClientKey, request: Request, out: &mut Vec<Action>) {
        self.acknowledge(now, key, Some(request.done_below), out);
        let client = self.sessions.client_mut(key);
        let bytes = request.body.len() as u64;
        if !client.spend_credit(bytes) {
            return self.on_overspent_credit(now, key, out);
        }
        client.count_request();
        let denied = permissions::check_call(client.principal(), &request.method).err();
        match client.record_request(request.number, request.flags.resend) {
            RequestStatus::New => self.accept(now, key, request, false, denied, out),
            RequestStatus::Unknown => self.accept(now, key, request, true, denied, out),
            RequestStatus::Open => self.on_open_request(now, key, request.number, bytes, out),
            RequestStatus::Answered(outcome, extensions) => {
                self.counters.duplicates += 1;
                self.sessions.client_mut(key).release_credit(bytes);
                self.sessions.deliver(now, key, request.number, outcome, extensions, out);
            }
            RequestStatus::Acknowledged => {
                self.counters.duplicates += 1;
                self.sessions.client_mut(key).release_credit(bytes);
                self.sessions.grant_credit(now, key, out);
            }
        }
    }

    fn on_overspent_credit(&mut self, now: Time, key: ClientKey, out: &mut Vec<Action>) {
        let Some(connection) = self.sessions.connection_of(key) else { return };
        let message = "the client exceeded its credit";
        self.disconnect(now, connection, Failure::new(Code::ResourceExhausted, Executed::No, message), out);
    }

    /// Handles a repeated request for an open call. After a reconnect the new connection has spent credit for it;
    /// otherwise the credit is released.
    fn on_open_request(&mut self, now: Time, key: ClientKey, number: CallNumber, bytes: u64, out: &mut Vec<Action>) {
        self.counters.duplicates += 1;
        let client = self.sessions.client_mut(key);
        let Some(call) = client.open_call(number.0) else { return };
        let call = &mut self.calls[call];
        if call.paid_on == client.connection_number() {
            client.release_credit(bytes);
            return self.sessions.grant_credit(now, key, out);
        }
        call.paid_on = client.connection_number();
        call.bytes = bytes;
        if let Some(credit) = self.streams.resume(call) {
            self.sessions.send(now, key, credit, out);
        }
    }

    /// Accepts a new request. `denied` states why the client may not make the call, if it may not.
    fn accept(
        &mut self,
        now: Time,
        key: ClientKey,
        mut request: Request,
        uncertain: bool,
        denied: Option<String>,
        out: &mut Vec<Action>,
    ) {
        self.counters.calls += 1;
        self.counters.casts += u64::from(request.flags.cast);
        let paid = request.body.len() as u64;
        // The right to operate, which was checked, covers the call that is made again.
        self.replace_resend(key, &mut request);
        if request.method.service() == reserved::SERVICE {
            return self.on_admin_request(now, key, &request, denied, out);
        }
        let client = self.sessions.client_mut(key);
        let (caller, connection_number) = (client.caller().clone(), client.connection_number());
        let origin = CallOrigin { client: key, caller, connection_number, uncertain };
        let service = self.service_named(now, request.method.service());
        let call = self.calls.insert(Call::new(now, origin, service, request));
        self.calls[call].bytes = paid;
        self.streams.count_open(&self.calls[call]);
        let service = self.registry.service_mut(service);
        service.calls += 1;
        service.arrived.count(now);
        if !self.calls[call].cast {
            self.sessions.client_mut(key).open(self.calls[call].number, call);
        }
        if let Some(text) = denied {
            self.log_denial(key, &text, out);
            return self.fail(now, call, Code::PermissionDenied, text, out);
        }
        if let Some(text) = self.calls[call].contradiction() {
            return self.fail(now, call, Code::InvalidArgument, text, out);
        }
        if self.lifecycle.is_shutting_down() {
            return self.fail(now, call, Code::Unavailable, "the broker is shutting down", out);
        }
        self.schedule(now, call, out);
    }

    pub(super) fn log_denial(&mut self, key: ClientKey, text: &str, out: &mut Vec<Action>) {
        if let Some(connection) = self.sessions.connection_of(key) {
            out.push(Action::Log(Diagnostic::CallDenied { connection, why: text.into() }));
        }
    }

    /// Replaces a request to resend a dead letter by the request that it resends.
    fn replace_resend(&mut self, key: ClientKey, request: &mut Request) {
        let asked = (request.method.service(), request.method.method()) == (reserved::SERVICE, "dead_resend");
        if asked && self.sessions.client_mut(key).principal().is_operator() {
            self.dead_letters.resend(request);
        }
    }

    /// Returns the key of the service with that name. Adds the service if it is unknown.
    fn service_named(&mut self, now: Time, name: &str) -> ServiceKey {
        if let Some(key) = self.registry.find(name) {
            return key;
        }
        let key = ServiceKey(self.key_source.next());
        let quiet_until = self.lifecycle.started + self.settings.quiet_time;
        self.registry.add_service(key, Service::new(name, quiet_until, RetryBudget::new(now, &self.settings)));
        key
    }

    /// Handles the cancel of a call. A waiting call is dropped; a running call is stopped. There is no reply.
    pub(super) fn on_cancel(&mut self, now: Time, key: ClientKey, cancel: Cancel, out: &mut Vec<Action>) {
        self.acknowledge(now, key, cancel.done_below, out);
        let Some(call) = self.sessions.client_mut(key).close(CallNumber(cancel.number)) else {
            self.counters.stale += 1;
            return;
        };
        self.abandon(now, call, out);
        self.sessions.grant_credit(now, key, out);
    }

    /// Handles an acknowledgement: the client waits for no outcome below a number. A call that is still open below it
    /// was cancelled, and the cancel was lost with its connection.
    fn acknowledge(&mut self, now: Time, key: ClientKey, below: Option<CallNumber>, out: &mut Vec<Action>) {
        let unwanted = self.sessions.acknowledge(key, below);
        if unwanted.is_empty() {
            return;
        }
        for call in unwanted {
            self.abandon(now, call, out);
        }
        self.sessions.grant_credit(now, key, out);
    }

    pub(super) fn on_client_ping(&mut self, now: Time, key: ClientKey, ping: Ping, out: &mut Vec<Action>) {
        self.acknowledge(now, key, ping.done_below, out);
        self.sessions.send(now, key, Envelope::Pong(ping.number), out);
    }

    /// Handles a message of a client that could not be decoded. If it is a request, or of an unknown kind that may be a
    /// request in a later version, it is answered if its number could be decoded.
    pub(super) fn on_unreadable_of_client(
        &mut self,
        now: Time,
        key: ClientKey,
        refused: &EnvelopeError,
        out: &mut Vec<Action>,
    ) {
        if let Some(number) = unreadable_item(refused) {
            if let Some(call) = self.open_call(key, number) {
                self.break_stream(now, call, StreamFailure::ByClient(StreamError::Malformed), out);
            }
            return;
        }
        let request = refused.kind == Some(u64::from(Kind::Request.number()));
        let answerable = request || matches!(refused.reason, EnvelopeErrorReason::UnknownKind(_));
        let Some(number) = refused.number.filter(|_| answerable) else { return };
        let number = CallNumber(number);
        let failure = Failure::new(refused.code(), Executed::No, refused.to_string());
        let client = self.sessions.client_mut(key);
        if request {
            // The client has spent credit for it, which is released at once.
            if !client.spend_credit(refused.body_bytes) {
                return self.on_overspent_credit(now, key, out);
            }
            client.release_credit(refused.body_bytes);
        }
        // A call of that number will have, or has had, an outcome of its own.
        match client.has_call_or_reply(number) {
            true => self.sessions.grant_credit(now, key, out),
            false => self.sessions.deliver(now, key, number, Err(Box::new(failure)), Extensions::NONE, out),
        }
    }
}

/// Registrations, replies and credit of workers.
impl Broker {
    /// Handles a registration: its offers replace the earlier ones of the worker.
    pub(super) fn on_register(&mut self, now: Time, key: WorkerKey, body: &Bytes, out: &mut Vec<Action>) {
        let worker = self.registry.worker_mut(key);
        let connection = worker.connection.id;
        if !worker.may_register(now) {
            let (max, span) = (limits::REGISTRATIONS_MAX, limits::REGISTRATIONS_WINDOW);
            let message = format!("a worker must not register more than {max} times within {}", HumanDuration(span));
            let failure = Failure::new(Code::ResourceExhausted, Executed::No, message);
            return self.disconnect(now, connection, failure, out);
        }
        let invalid = |message: String| Box::new(Failure::new(Code::InvalidArgument, Executed::No, message));
        let checked =
            body::decode::<Register>(body).map_err(|error| invalid(format!("invalid registration: {error}"))).and_then(
                |register| self.registry.check_registration(key, &register, &self.settings.services).map(|()| register),
            );
        match checked {
            Ok(register) => self.replace_offers(now, key, register, out),
            Err(failure) => self.disconnect(now, connection, *failure, out),
        }
    }

    fn replace_offers(&mut self, now: Time, key: WorkerKey, register: Register, out: &mut Vec<Action>) {
        self.end_waiting_subcalls(now, key, out);
        self.withdraw_offers(now, key);
        self.registry.set_shared_slots(key, &register);
        let mut names: Vec<_> = register.offers.iter().map(|offer| offer.service.clone()).collect();
        names.dedup();
        let mut services = Vec::new();
        for offer in &register.offers {
            services.push(self.add_offer(now, key, offer, register.exclusive));
        }
        services.sort_unstable();
        services.dedup();
        self.registry.count_worker(&services);
        self.admin.clear();
        let worker = self.registry.worker(key);
        out.push(Action::Log(Diagnostic::WorkerRegistered {
            connection: worker.connection.id,
            name: worker.name(),
            pool: worker.pool.clone(),
            services: names,
            key: worker.principal.name().map(ToString::to_string),
        }));
        for service in services {
            self.recheck_waiting(now, service, out);
            // The limit of concurrent calls of a method may be higher than before.
            self.deferred.add(DeferredWork::FillService(service));
        }
        self.fill_worker(now, key, out);
    }

    fn add_offer(&mut self, now: Time, key: WorkerKey, offer: &handshake::Offer, exclusive: bool) -> ServiceKey {
        let service = self.service_named(now, &offer.service);
        self.registry.add_offer(key, service, offer, exclusive);
        for affinity_key in &offer.keys {
            self.hold_key(key, service, affinity_key);
        }
        service
    }

    /// Handles the reply to a dispatch: the worker's final message about the call.
    pub(super) fn on_reply(&mut self, now: Time, key: WorkerKey, reply: Reply, out: &mut Vec<Action>) {
        let Some((call, _)) = self.release_slot(now, key, DispatchNumber(reply.number), false, out) else { return };
        self.record_times(now, call, reply.handler_time);
        self.log_slow_call(now, call, reply.handler_time, out);
        let mut outcome = reply.outcome;
        self.registry.worker_mut(key).count(&outcome);
        if let Err(failure) = &mut outcome {
            let call = &self.calls[call];
            failure.attempt = call.attempt();
            failure.worker = call.worker_name();
            // The reply covers only this attempt. An earlier worker may have run the call.
            if call.ran_before() && failure.executed == Executed::No {
                failure.executed = Executed::Maybe;
            }
        }
        self.complete(now, call, outcome, reply.extensions, out);
        self.remove_call(call);
        self.fill_worker(now, key, out);
    }

    /// Records how long a call was at its worker, for estimates, and how long its handler ran, as the worker measured it. A call that
    /// was cancelled or has expired is not a sample for the estimates.
    fn record_times(&mut self, now: Time, call: CallKey, handler_time: Option<Duration>) {
        let call = &self.calls[call];
        let service = self.registry.service_mut(call.service);
        if call.is_wanted() {
            service.drain_rate.record_run(now.since(call.since));
        }
        if let (Some(span), Some(method)) = (handler_time, call.method_index()) {
            service.method_mut(method).record_handler_time(span);
        }
    }

    /// Handles the handback of a call that was not started. It does not count as an attempt, and another worker may get
    /// the call whatever its effect. An offer that long calls block needs no pause: it has no room before one of them ends.
    pub(super) fn on_handback(&mut self, now: Time, key: WorkerKey, number: DispatchNumber, out: &mut Vec<Action>) {
        let Some((call, offer)) = self.release_slot(now, key, number, true, out) else { return };
        self.calls[call].count_time(now, true);
        self.calls[call].leave_worker();
        let worker = self.registry.worker(key);
        let is_blocked = worker.is_blocked(offer) && !worker.draining;
        if !is_blocked {
            self.pause_offer(now, key, offer);
        }
        let is_subcall = self.calls[call].subcall_of.is_some();
        if self.calls[call].client.is_some() || (is_subcall && is_blocked) {
            self.reschedule(now, call, out);
        } else if is_subcall {
            self.fail(now, call, Code::Unavailable, "its worker handed it back", out);
        } else {
            self.remove_call(call);
        }
        self.fill_worker(now, key, out);
    }

    /// Pauses an offer whose worker handed a call back. Otherwise broker and worker would pass the call to and fro as
    /// fast as the network allows. A draining worker needs no pause: it is given no calls.
    fn pause_offer(&mut self, now: Time, key: WorkerKey, index: usize) {
        let worker = self.registry.worker(key);
        if worker.draining || worker.offers()[index].paused_until.is_some() {
            return;
        }
        let until = now + HANDBACK_PAUSE;
        self.registry.update_offer(key, index, |offer| offer.paused_until = Some(until));
        self.timers.set(until, Timer::OfferPause(key, index));
    }

    pub(super) fn on_pause_end(&mut self, now: Time, key: WorkerKey, index: usize, out: &mut Vec<Action>) {
        self.registry.update_offer(key, index, |offer| offer.paused_until = None);
        self.fill_offer(now, key, index, out);
    }

    /// Handles the report that a handler has started. The call will take a while, so its parts of read buffers are
    /// copied.
    pub(super) fn on_started(&mut self, now: Time, key: WorkerKey, number: DispatchNumber, out: &mut Vec<Action>) {
        let Some(&call) = self.registry.find_worker(key).and_then(|worker| worker.running.get(number.0)) else {
            self.counters.stale += 1;
            return;
        };
        // A worker sends it once for each call.
        let is_repeated = matches!(self.calls[call].state, CallState::Running { started: true, .. });
        self.counters.stale += u64::from(is_repeated);
        self.record_started(call);
        self.calls[call].detach();
        if self.record_read(key, number) {
            self.fill_worker(now, key, out);
        }
    }

    /// Handles the credit of a worker: calls of an earlier connection have ended, and their slots are free.
    pub(super) fn on_worker_credit(&mut self, now: Time, key: WorkerKey, credit: Credit, out: &mut Vec<Action>) {
        let index = credit.offer as usize;
        if self.registry.find_worker(key).is_none_or(|worker| worker.offers().len() <= index) {
            return;
        }
        self.registry.free_held_slots(key, index, credit.calls);
        self.fill_worker(now, key, out);
    }

    /// Handles the end of a call of an earlier connection that had an affinity key: its key and its slot are free.
    pub(super) fn on_key_freed(&mut self, now: Time, key: WorkerKey, freed: &KeyFreed, out: &mut Vec<Action>) {
        let offer = self.registry.find_worker(key).and_then(|worker| worker.offers().get(freed.offer as usize));
        if let Some(service) = offer.map(|offer| offer.service) {
            self.affinity.release(key, service, &freed.key, &mut self.deferred);
        }
        self.on_worker_credit(now, key, Credit { calls: 1, bytes: 0, offer: freed.offer }, out);
    }

    /// Handles the drain of a worker, which takes no more calls.
    pub(super) fn on_drain(&mut self, now: Time, key: WorkerKey, out: &mut Vec<Action>) {
        let Some(worker) = self.registry.find_worker(key).filter(|worker| !worker.draining) else { return };
        out.push(Action::Log(Diagnostic::WorkerDraining { name: worker.name(), pool: worker.pool.clone() }));
        self.registry.update_worker(key, |worker| worker.draining = true);
        self.unbind(key);
        self.end_waiting_subcalls(now, key, out);
    }

    /// Handles a message of a worker that could not be decoded. If it is a reply, it ends its call, because no other
    /// reply will come.
    pub(super) fn on_unreadable_of_worker(
        &mut self,
        now: Time,
        key: WorkerKey,
        refused: &EnvelopeError,
        out: &mut Vec<Action>,
    ) {
        if let Some(number) = unreadable_item(refused) {
            if let Some(call) = self.started_call(key, number) {
                self.break_stream(now, call, StreamFailure::ByWorker(StreamError::Malformed), out);
            }
            return;
        }
        let reply = refused.kind == Some(u64::from(Kind::Reply.number()));
        if let Some(number) = refused.number.filter(|_| reply) {
            let message = format!("the worker's reply could not be read: {refused}");
            let outcome = Err(Box::new(Failure::new(Code::Internal, Executed::Yes, message)));
            self.on_reply(
                now,
                key,
                Reply { number, outcome, credit: None, handler_time: None, extensions: Extensions::NONE },
                out,
            );
        }
    }
}

/// Items, ends, credit and progress of streams.
impl Broker {
    pub(super) fn on_caller_items(&mut self, now: Time, client: ClientKey, items: Items, out: &mut Vec<Action>) {
        let Some(key) = self.open_call(client, items.number) else { return };
        let count = items.batch.items();
        match self.streams.caller_items(&mut self.calls[key], items) {
            Ok((worker, items)) => {
                self.counters.items += u64::from(count);
                self.registry.send(now, worker, items, out);
            }
            Err(failure) => self.break_stream(now, key, failure, out),
        }
    }

    pub(super) fn on_caller_end(&mut self, now: Time, client: ClientKey, end: End, out: &mut Vec<Action>) {
        let Some(key) = self.open_call(client, end.number) else { return };
        match self.streams.caller_end(&mut self.calls[key], end) {
            Ok(Some((worker, end))) => self.registry.send(now, worker, end, out),
            Ok(None) => {}
            Err(failure) => self.break_stream(now, key, failure, out),
        }
    }

    pub(super) fn on_caller_credit(
        &mut self,
        now: Time,
        client: ClientKey,
        credit: StreamCredit,
        out: &mut Vec<Action>,
    ) {
        let Some(key) = self.open_call(client, credit.number) else { return };
        match self.streams.caller_credit(&mut self.calls[key], credit) {
            Ok(Some((worker, credit))) => self.registry.send(now, worker, credit, out),
            Ok(None) => {}
            Err(failure) => self.break_stream(now, key, failure, out),
        }
    }

    pub(super) fn on_handler_items(&mut self, now: Time, worker: WorkerKey, items: Items, out: &mut Vec<Action>) {
        let Some(key) = self.started_call(worker, items.number) else { return };
        let count = items.batch.items();
        match self.streams.handler_items(&mut self.calls[key], items) {
            Ok(items) => {
                self.counters.items += u64::from(count);
                match self.reachable_client(key) {
                    Some(client) => self.sessions.send(now, client, items, out),
                    None => self.break_stream(now, key, StreamFailure::ClientLost, out),
                }
            }
            Err(failure) => self.break_stream(now, key, failure, out),
        }
    }

    pub(super) fn on_handler_credit(
        &mut self,
        now: Time,
        worker: WorkerKey,
        credit: StreamCredit,
        out: &mut Vec<Action>,
    ) {
        let Some(key) = self.running_call(worker, credit.number) else { return };
        match self.streams.handler_credit(&mut self.calls[key], credit) {
            Ok(credit) => {
                if let (Some(credit), Some(client)) = (credit, self.reachable_client(key)) {
                    self.sessions.send(now, client, credit, out);
                }
            }
            Err(failure) => self.break_stream(now, key, failure, out),
        }
    }

    pub(super) fn on_handler_progress(
        &mut self,
        now: Time,
        worker: WorkerKey,
        number: u64,
        body: Bytes,
        out: &mut Vec<Action>,
    ) {
        let Some(key) = self.started_call(worker, number) else { return };
        let progress = self.streams.handler_progress(now, &mut self.calls[key], body);
        if let (Some(progress), Some(client)) = (progress, self.reachable_client(key)) {
            self.sessions.send(now, client, progress, out);
        }
    }

    /// Ends the calls with stream items of a client whose connection is lost: items may be lost with it.
    pub(super) fn end_streams_of(&mut self, now: Time, client: ClientKey, out: &mut Vec<Action>) {
        let Some(client) = self.sessions.get(client) else { return };
        let open = client.open_calls().map(|(_, call)| call);
        let with_items: Vec<CallKey> = open.filter(|&call| self.calls[call].has_items()).collect();
        for call in with_items {
            self.break_stream(now, call, StreamFailure::ClientLost, out);
        }
    }

    /// Returns the open call of a client with that number. Without one, the message is counted as stale: it was sent
    /// before its sender got the outcome.
    fn open_call(&mut self, client: ClientKey, number: u64) -> Option<CallKey> {
        let call = self.sessions.get(client)?.open_call(number);
        self.counters.stale += u64::from(call.is_none());
        call
    }

    /// Returns the call that a worker runs under a number, if its outcome is wanted.
    fn running_call(&mut self, worker: WorkerKey, number: u64) -> Option<CallKey> {
        let key = self.registry.find_worker(worker)?.running.get(number).copied();
        let key = key.filter(|&key| self.calls[key].client.is_some());
        self.counters.stale += u64::from(key.is_none());
        key
    }

    /// Returns the call that a worker runs under a number, and records that its handler has started. For messages that
    /// only a started handler sends: items and progress, but not credit.
    fn started_call(&mut self, worker: WorkerKey, number: u64) -> Option<CallKey> {
        let key = self.running_call(worker, number)?;
        self.record_started(key);
        Some(key)
    }

    /// Returns the client of a call, if it is connected by the connection that it sent the call on.
    fn reachable_client(&self, key: CallKey) -> Option<ClientKey> {
        let call = &self.calls[key];
        call.client.filter(|&client| self.sessions.is_connected_by(client, call.paid_on))
    }

    /// Ends a call whose stream cannot go on.
    fn break_stream(&mut self, now: Time, key: CallKey, failure: StreamFailure, out: &mut Vec<Action>) {
        let (code, message) = failure.status();
        if let Some((by_worker, how)) = failure.violation() {
            self.counters.streams_broken += 1;
            let call = self.calls[key].id();
            out.push(Action::Log(Diagnostic::StreamBroken { call, by_worker, how: how.to_string() }));
        }
        let outcome = Err(Box::new(self.calls[key].failure(code, message)));
        self.end_anywhere(now, key, outcome, out);
    }
}
