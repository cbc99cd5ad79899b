//! The course of a call: it is scheduled, dispatched to a worker, retried after a loss, and completed once.
//!
//! Its steps call each other: a loss schedules the call again, a completion frees a slot, and a free slot schedules the
//! next call. Calls with affinity keys, broadcasts and time limits have files of their own beside this one. The rules are in the parts: the order of the waiting calls in `scheduling`, the
//! order of the workers in `registry` and `affinity`, and whether a call may run again in `calls`.

use std::time::Duration;

use bytestring::ByteString;

use super::super::{
    calls::{Call, CallState, ExecutionLimits},
    deferred::DeferredWork,
    interface::{Action, Diagnostic},
    keys::{CallKey, ClientKey, ServiceKey, WorkerKey},
    outcome::Outcome,
    registry::{CallEnd, Candidate, Method},
    scheduling::{self, WaitLimit},
    timers::Timer,
};
use super::state::Broker;
use crate::{
    time::Time,
    wire::{
        affinity::Affinity,
        envelope::{Dispatch, Effect, Envelope},
        extensions::Extensions,
        ids::DispatchNumber,
        status::Code,
    },
};

/// Scheduling: a call goes to a worker, into the queue, or to its end.
impl Broker {
    /// Schedules a call in the state [`CallState::New`]: the call is dispatched, queued or ended.
    pub(super) fn schedule(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        let call = &mut self.calls[key];
        if call.deadline.is_some_and(|deadline| deadline <= now) {
            return self.fail(now, key, Code::DeadlineExceeded, "its deadline passed before it could start", out);
        }
        let service = self.registry.service_mut(call.service);
        if call.method_index().is_none() {
            call.set_method_index(service.index_of(call.method.method()));
            call.method_index().iter().for_each(|&method| service.method_mut(method).calls += 1);
        }
        let offered = call.method_index().map(|method| service.method(method)).filter(|method| method.is_offered());
        match offered.map(Method::effect) {
            Some(effect) if !call.may_run(effect) => {
                self.fail(now, key, Code::Unavailable, "it was sent before, and may have run", out);
            }
            Some(_) if call.broadcast => self.begin_broadcast(now, key, out),
            Some(_) if !self.acquire_key(now, key, out) => {}
            Some(_) => match self.choose_offer(now, key) {
                Some(candidate) => match self.explain_too_large(key, candidate.worker) {
                    Some(message) => self.fail(now, key, Code::ResourceExhausted, message, out),
                    None => self.dispatch(now, key, candidate, out),
                },
                None => self.enqueue_or_reject(now, key, None, out),
            },
            None => self.await_worker(now, key, out),
        }
    }

    /// Schedules a call that a worker handed back or was lost with, unless the broker shuts down.
    pub(super) fn reschedule(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        if let Some(streams) = &mut self.calls[key].streams {
            streams.restart_handler();
        }
        if self.lifecycle.is_shutting_down() {
            return self.fail(now, key, Code::Unavailable, "the broker is shutting down", out);
        }
        self.calls[key].since = now;
        self.schedule(now, key, out);
    }

    /// Returns the offer with room for a call that gets the call.
    fn choose_offer(&mut self, now: Time, key: CallKey) -> Option<Candidate> {
        let call = &self.calls[key];
        let method = call.method_index()?;
        if !self.registry.service(call.service).rule().may_start(method) {
            return None;
        }
        match &call.subcall_of {
            Some(of) => self.registry.best_offer_of(of.worker, call.service, method),
            None if call.affinity.is_some() => self.affinity.choose_offer(call, &self.registry),
            None => self.registry.next_offer(now, call.service, method, self.settings.batch_time),
        }
    }

    /// Returns why a worker could not read a call that it would get. Another worker may accept larger ones, but the fate of a call must not
    /// depend on which worker it goes to.
    fn explain_too_large(&self, key: CallKey, worker: WorkerKey) -> Option<String> {
        let (worker, bytes) = (self.registry.worker(worker), self.calls[key].body.len());
        let max = worker.connection.body_bytes_max;
        let text = || format!("the call has {bytes} bytes, and worker {} accepts at most {max}", worker.name);
        (bytes > max).then(text)
    }

    /// Handles a call whose method no worker serves now. The call waits if a worker served the method recently or if
    /// its caller requested it; otherwise the call fails at once.
    fn await_worker(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        let call = &self.calls[key];
        match scheduling::wait_limit_of(now, call, self.registry.service(call.service)) {
            WaitLimit::Deadline => self.enqueue_or_reject(now, key, None, out),
            WaitLimit::Until(until) => self.enqueue_or_reject(now, key, Some(until), out),
            WaitLimit::None => {
                let (code, message) = self.registry.explain_unserved(call.service, call.method.method());
                self.fail(now, key, code, message, out);
            }
        }
    }

    /// Puts a call into its service's queue, if there is room and it can get its affinity key.
    pub(super) fn enqueue_or_reject(&mut self, now: Time, key: CallKey, give_up: Option<Time>, out: &mut Vec<Action>) {
        if !self.acquire_key(now, key, out) {
            return;
        }
        match self.explain_no_room(now, key) {
            Some(message) => self.reject(now, key, message, out),
            None => self.enqueue(key, give_up),
        }
    }

    /// Returns why a call cannot wait. Returns `None` if there is room.
    pub(super) fn explain_no_room(&mut self, now: Time, key: CallKey) -> Option<String> {
        let call = &self.calls[key];
        let keyed = self.affinity.waiting(call.service);
        let service = self.registry.service_mut(call.service);
        scheduling::explain_no_room(now, call, &self.calls, service, keyed, &self.tenants, &self.settings)
    }

    /// Rejects a call for which there is no room to wait, with a retry-after hint.
    pub(super) fn reject(&mut self, now: Time, key: CallKey, message: String, out: &mut Vec<Action>) {
        self.counters.queue_full += 1;
        let call = &self.calls[key];
        let service = self.registry.service(call.service);
        let mut failure = call.failure(Code::ResourceExhausted, message);
        failure.retry_after = Some(service.drain_rate.estimate_drain(service.queue.len()));
        if let Some(connection) = self.caller_of(call).and_then(|client| self.sessions.connection_of(client)) {
            self.record_limit_hit(connection);
        }
        self.end(now, key, Err(Box::new(failure)), out);
    }

    /// Puts a call into its service's queue.
    pub(super) fn enqueue(&mut self, key: CallKey, give_up: Option<Time>) {
        let bound = self.affinity.bound_worker(&self.calls[key], &self.registry);
        let caller = self.caller_of(&self.calls[key]);
        let call = &mut self.calls[key];
        if let Some(affinity) = &mut call.affinity {
            (affinity.worker, affinity.admitted) = (bound, true);
        }
        call.detach();
        let (session, sub_queue) = (caller.map_or(0, ClientKey::number), scheduling::sub_queue_of(call));
        let queue = &mut self.registry.service_mut(call.service).queue;
        let number = *call.queue_number.get_or_insert_with(|| queue.next_number());
        queue.insert(call.queue_key(session), sub_queue, number, key, call.body.len());
        self.tenants.add_waiting(call.tenant(), call.body.len());
        call.state = CallState::Queued { session, sub_queue, give_up };
        self.calls.schedule_timeout(key);
    }

    /// Removes a call from its service's queue.
    pub(super) fn leave_queue(&mut self, key: CallKey) {
        let call = &mut self.calls[key];
        let position = call.queue_position().expect("only a queued call leaves its queue");
        call.state = CallState::New;
        if let Some(service) = self.registry.find_service_mut(call.service) {
            service.queue.remove(position);
        }
        self.tenants.remove_waiting(call.tenant(), call.body.len());
    }

    /// Gives a worker as many waiting calls as it has room for.
    pub(super) fn fill_worker(&mut self, now: Time, key: WorkerKey, out: &mut Vec<Action>) {
        let Some(worker) = self.registry.find_worker(key) else { return };
        if !worker.shares_slots() {
            return (0..worker.offers().len()).for_each(|offer| self.fill_offer(now, key, offer, out));
        }
        while let Some(call) = self.pop_waiting_by_turn(key) {
            self.schedule_popped(now, call, out);
        }
    }

    /// Gives an offer as many waiting calls as it has room for.
    pub(super) fn fill_offer(&mut self, now: Time, worker: WorkerKey, offer: usize, out: &mut Vec<Action>) {
        while let Some(call) = self.pop_waiting(worker, offer) {
            self.schedule_popped(now, call, out);
        }
    }

    /// Gives the workers of a service as many waiting calls as they have room for. Called when a method may run more
    /// calls than before.
    pub(super) fn fill_service(&mut self, now: Time, service: ServiceKey, out: &mut Vec<Action>) {
        while let Some(call) = self.pop_waiting_anywhere(service) {
            self.schedule_popped(now, call, out);
        }
    }

    pub(super) fn schedule_popped(&mut self, now: Time, call: CallKey, out: &mut Vec<Action>) {
        self.calls[call].state = CallState::New;
        self.schedule(now, call, out);
    }

    fn pop_waiting_anywhere(&mut self, service: ServiceKey) -> Option<CallKey> {
        let service = self.registry.find_service_mut(service).filter(|service| !service.queue.is_empty())?;
        let free: Vec<_> = service.free().iter().copied().collect();
        free.into_iter().find_map(|candidate| self.pop_waiting(candidate.worker, candidate.offer))
    }

    /// Removes and returns the next call for a worker whose offers share slots. The offers take turns, so that the calls of one service
    /// do not take every slot that becomes free.
    fn pop_waiting_by_turn(&mut self, key: WorkerKey) -> Option<CallKey> {
        for offer in self.registry.find_worker(key)?.offers_by_turn() {
            if let Some(call) = self.pop_waiting(key, offer) {
                self.registry.worker_mut(key).end_turn(offer);
                return Some(call);
            }
        }
        None
    }

    /// Removes and returns the next call in the service's queue that an offer can run, if there is one.
    fn pop_waiting(&mut self, at: WorkerKey, offer: usize) -> Option<CallKey> {
        let (offer, service) = self.registry.offer_with_room(at, offer)?;
        let (queue, rule) = service.queue_and_rule();
        let fits = |&method: &usize| offer.serves(method) && rule.may_start(method);
        if !scheduling::has_call_for(queue, at, |method| fits(&method)) {
            return None;
        }
        let calls = &self.calls;
        let key = queue.pop_where(|key| {
            let call = &calls[key];
            let method = call.method_index().or_else(|| rule.index_of(call.method.method()));
            method.filter(fits).is_some() && scheduling::may_run_at(call, at)
        })?;
        self.tenants.remove_waiting(calls[key].tenant(), calls[key].body.len());
        Some(key)
    }

    /// Reschedules the waiting calls whose method was not served, because the service has a new offer.
    pub(super) fn recheck_waiting(&mut self, now: Time, service: ServiceKey, out: &mut Vec<Action>) {
        let waiting: Vec<CallKey> = self.registry.service(service).queue.iter().collect();
        for key in waiting {
            let Some(call) = self.calls.get(key) else { continue };
            let CallState::Queued { give_up, .. } = call.state else { continue };
            let index = || self.registry.service(service).index_of(call.method.method());
            let method = call.method_index().or_else(index);
            if method.is_none() || method != call.method_index() || give_up.is_some() {
                self.leave_queue(key);
                self.schedule(now, key, out);
            }
        }
    }
}

/// Dispatch, and the end of a call at its worker.
impl Broker {
    /// Sends a call to a worker.
    fn dispatch(&mut self, now: Time, key: CallKey, candidate: Candidate, out: &mut Vec<Action>) {
        let Candidate { worker, offer, .. } = candidate;
        let number = self.calls.next_dispatch();
        let call = &mut self.calls[key];
        let method = call.method_index().expect("a dispatched call's method is offered");
        self.registry.begin_call(candidate, number, key, call.body.len(), self.settings.worker_bytes_max);
        let at = self.registry.worker(worker);
        call.worker = Some(at.name.clone());
        call.limits = ExecutionLimits::new(now, at.offers()[offer].limits_of(method));
        call.count_time(now, false);
        let service = self.registry.service_mut(call.service);
        if let Some(change) = service.begin_call(now, method) {
            self.timers.replace(change.cancel, change.set, Timer::OperatorRate(call.service));
        }
        // A handback was no attempt, and subcalls of a broadcast are never retried: neither adds to the retry budget.
        if !call.dispatched && call.subcall_of.is_none() {
            service.retries.add_call(&self.settings);
        }
        // The effect holds for this call from now on, even if the worker that declared it is lost with the call.
        call.effect = call.effect.max(Some(service.method(method).effect()));
        call.state = CallState::Running { worker, offer, dispatch: number, started: false };
        call.since = now;
        call.dispatched = true;
        call.queue_number.get_or_insert_with(|| service.queue.next_number());
        self.counters.dispatches += 1;
        let affinity = self.bind(key, worker);
        let call = &self.calls[key];
        let dispatch = Dispatch {
            number,
            method: call.method.clone(),
            timeout: call.deadline.map(|deadline| deadline.since(now)),
            attempt: call.attempt(),
            call: call.id(),
            caller_name: call.caller.name.clone(),
            affinity,
            streams: call.requested_streams,
            extensions: call.extensions.clone(),
            body: call.body.clone(),
        };
        self.calls.schedule_timeout(key);
        self.registry.send(now, worker, Envelope::Dispatch(dispatch), out);
        if self.calls[key].streams.is_some() {
            for (worker, envelope) in self.streams.open(&self.calls[key]) {
                self.registry.send(now, worker, envelope, out);
            }
        }
    }

    /// Binds the bucket of a call's affinity key to a worker. Returns the affinity to send with the dispatch.
    fn bind(&mut self, key: CallKey, worker: WorkerKey) -> Option<Box<Affinity>> {
        let call = &self.calls[key];
        let affinity_key = call.affinity.as_ref()?.key.clone();
        let fence = self.bind_bucket(call.service, &affinity_key, worker);
        Some(Box::new(Affinity { key: affinity_key, fence }))
    }

    /// Frees the slot of a dispatch, after the worker's final message about it: a handback or a reply. Returns the call and the index of the
    /// offer, or `None` if the worker does not run that dispatch (any more).
    pub(super) fn release_slot(
        &mut self,
        now: Time,
        key: WorkerKey,
        number: DispatchNumber,
        is_handback: bool,
        out: &mut Vec<Action>,
    ) -> Option<(CallKey, usize)> {
        let Some(call) = self.registry.worker_mut(key).running.remove(number.0) else {
            self.counters.stale += 1;
            return None;
        };
        let CallState::Running { offer, started, .. } = self.calls[call].state else {
            unreachable!("a call that a worker runs is in the running state");
        };
        let idle = self.key_source.next();
        let end = if is_handback { CallEnd::HandedBack { started } } else { CallEnd::Replied { started } };
        self.registry.end_call(key, offer, end, idle);
        self.record_read(key, number);
        self.leave_method(call);
        self.end_unresponsiveness(now, key, call, out);
        let service = self.registry.service_mut(self.calls[call].service);
        service.drain_rate.record_end(now, service.queue.len());
        Some((call, offer))
    }

    /// Records that the handler of a call has started.
    pub(super) fn record_started(&mut self, key: CallKey) {
        if let CallState::Running { worker, offer, started, .. } = &mut self.calls[key].state
            && !std::mem::replace(started, true)
        {
            self.registry.start_call(*worker, *offer);
        }
    }

    /// Records that a worker has read a dispatch and all before it: it has sent a message about that dispatch. Returns
    /// whether the worker may be given calls again because of that.
    pub(super) fn record_read(&mut self, key: WorkerKey, number: DispatchNumber) -> bool {
        self.registry.record_read(key, number, self.settings.worker_bytes_max)
    }

    /// Decrements the running calls of a method, when a call leaves its worker. If the method was at its limit of
    /// concurrent calls, another call may run now, and its dispatch is deferred.
    fn leave_method(&mut self, key: CallKey) {
        let call = &self.calls[key];
        let method = call.method_index().expect("a dispatched call's method was offered");
        if self.registry.service_mut(call.service).end_call(method) {
            self.deferred.add(DeferredWork::FillService(call.service));
        }
    }

    /// Retries a call whose worker was lost, if the rules allow it; otherwise the call fails.
    pub(super) fn retry_or_fail(&mut self, now: Time, key: CallKey, worker: &str, out: &mut Vec<Action>) {
        self.leave_method(key);
        let call = &mut self.calls[key];
        call.lost += 1;
        // It may be the cause of the loss, so calls behind it must not wait for it.
        call.queue_number = None;
        call.count_time(now, true);
        call.leave_worker();
        if call.subcall_of.is_some() {
            let message = format!("worker {worker} was lost while it had the call");
            return self.fail(now, key, Code::Unavailable, message, out);
        }
        if call.client.is_none() {
            return self.remove_call(key);
        }
        if !call.may_run(Effect::Read) {
            let has_items = call.has_items();
            if !has_items {
                self.keep_dead_letter(now, key, out);
            }
            let what = if has_items { "items were on the way" } else { "it had the call" };
            let message = format!("worker {worker} was lost while {what}");
            return self.fail(now, key, Code::Unavailable, message, out);
        }
        let service = self.registry.service_mut(call.service);
        if !service.retries.take(now, &self.settings) {
            let message = format!("worker {worker} was lost with the call, and {} has no retries left", service.name);
            return self.fail(now, key, Code::Unavailable, message, out);
        }
        self.counters.repeated += 1;
        out.push(Action::Log(Diagnostic::Retried { call: call.id(), lost: call.lost.into() }));
        self.reschedule(now, key, out);
    }

    fn keep_dead_letter(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        let call = &self.calls[key];
        if self.dead_letters.add(now, call) {
            self.counters.buried += 1;
            let (method, lost) = (call.method.to_string(), call.lost.into());
            out.push(Action::Log(Diagnostic::DeadLettered { call: call.id(), method, lost }));
        }
    }
}

/// Completion: a call gets its one outcome.
impl Broker {
    /// Ends a call that is at no worker with a failure of the broker.
    pub(super) fn fail(
        &mut self,
        now: Time,
        key: CallKey,
        code: Code,
        message: impl Into<ByteString>,
        out: &mut Vec<Action>,
    ) {
        let failure = self.calls[key].failure(code, message);
        self.end(now, key, Err(Box::new(failure)), out);
    }

    /// Ends a call that is at no worker.
    pub(super) fn end(&mut self, now: Time, key: CallKey, outcome: Outcome, out: &mut Vec<Action>) {
        self.log_slow_call(now, key, None, out);
        self.complete(now, key, outcome, Extensions::NONE, out);
        self.remove_call(key);
    }

    /// Ends a call in any state.
    pub(super) fn end_anywhere(&mut self, now: Time, key: CallKey, outcome: Outcome, out: &mut Vec<Action>) {
        match self.calls[key].state {
            CallState::Running { worker, dispatch, .. } => {
                self.log_slow_call(now, key, None, out);
                self.complete(now, key, outcome, Extensions::NONE, out);
                self.stop_running(now, key, worker, dispatch, out);
            }
            // A broadcast has no streams, but its client may send messages about some. Its subcalls must not outlive it.
            CallState::Aggregating => {
                self.stop_subcalls(now, key, out);
                self.end(now, key, outcome, out);
            }
            CallState::New | CallState::WaitingForKey | CallState::Queued { .. } => self.end(now, key, outcome, out),
        }
    }

    /// Logs a call that took long and now has its outcome, with where the time went.
    pub(super) fn log_slow_call(&mut self, now: Time, key: CallKey, handler: Option<Duration>, out: &mut Vec<Action>) {
        let call = &self.calls[key];
        let Some(slow_call) = self.settings.slow_call.filter(|_| call.client.is_some()) else { return };
        let timings = call.timings_at(now);
        if timings.queued + timings.running >= slow_call {
            let (method, worker) = (call.method.to_string(), call.worker_name());
            let attempts = if call.dispatched { call.attempt() } else { 0 };
            out.push(Action::Log(Diagnostic::CallWasSlow {
                call: call.id(),
                method,
                worker,
                attempts,
                timings,
                handler,
            }));
        }
    }

    /// Drops a call whose client does not wait for its outcome any more. A waiting call is removed, a running call is
    /// stopped.
    pub(super) fn abandon(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        self.counters.cancelled += 1;
        self.release_credit(key);
        self.streams.close(&mut self.calls[key]);
        self.calls[key].client = None;
        match self.calls[key].state {
            CallState::Running { worker, dispatch, .. } => self.stop_running(now, key, worker, dispatch, out),
            CallState::Aggregating => {
                self.stop_subcalls(now, key, out);
                self.remove_call(key);
            }
            CallState::New | CallState::WaitingForKey | CallState::Queued { .. } => self.remove_call(key),
        }
    }

    /// Gives a call its one outcome: it is sent to the client, cached for it, and counted. Later messages about the call change nothing.
    pub(super) fn complete(
        &mut self,
        now: Time,
        key: CallKey,
        mut outcome: Outcome,
        extensions: Extensions,
        out: &mut Vec<Action>,
    ) {
        if let Some(of) = self.calls[key].subcall_of.take() {
            return self.complete_subcall(now, *of, &outcome, out);
        }
        self.release_credit(key);
        let call = &mut self.calls[key];
        let to_cache = call.outcome_without_items(&outcome);
        self.streams.close(call);
        let Some(client) = call.client.take() else { return };
        call.count_time(now, matches!(call.state, CallState::Running { .. }));
        if let Err(failure) = &mut outcome {
            failure.timings = call.time_spent.timings();
        }
        let completed = call.completed(&outcome);
        match completed.code {
            None => self.counters.answered += 1,
            Some(_) => self.counters.failed += 1,
        }
        self.registry.record_completed(now, call.service, call.method_index(), &completed);
        if !call.cast {
            let (number, max) = (call.number, self.settings.outcomes_bytes_max);
            self.sessions.cache_reply(client, number, to_cache.as_ref().unwrap_or(&outcome), &extensions, max);
            return self.sessions.deliver(now, client, number, outcome, extensions, out);
        }
        if let Err(failure) = outcome {
            self.counters.casts_failed += 1;
            let (call, method) = (call.id(), call.method.to_string());
            out.push(Action::Log(Diagnostic::CastFailed { call, method, failure }));
        }
        self.sessions.grant_credit(now, client, out);
    }

    /// Releases the credit of a call to the connection that spent it, once.
    fn release_credit(&mut self, key: CallKey) {
        let call = &self.calls[key];
        if let Some(client) = call.client {
            self.sessions.release_credit(client, call.paid_on, call.bytes);
        }
    }

    /// Removes a call from every table except those of its worker and its client.
    pub(super) fn remove_call(&mut self, key: CallKey) {
        self.calls.cancel_timeout(key);
        if matches!(self.calls[key].state, CallState::Queued { .. }) {
            self.leave_queue(key);
        }
        let call = &self.calls[key];
        if self.affinity.remove(key, call, &mut self.deferred) {
            self.tenants.remove_waiting(call.tenant(), call.body.len());
        }
        let (of, method) = (call.service, call.method_index());
        self.calls.remove(key);
        let Some(service) = self.registry.find_service_mut(of) else { return };
        service.calls -= 1;
        method.iter().for_each(|&method| service.method_mut(method).calls -= 1);
        // A service that no worker ever served takes memory only while a call waits for it.
        if service.is_only_named() {
            self.remove_service(of);
        }
    }

    /// Returns the client that waits for a call: for a subcall, the one that made the broadcast.
    fn caller_of(&self, call: &Call) -> Option<ClientKey> {
        call.client.or_else(|| self.calls[call.subcall_of.as_ref()?.broadcast].client)
    }
}
