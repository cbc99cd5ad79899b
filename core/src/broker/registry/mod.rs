//! The registry: workers, the services that they offer, and which offers have room for a call.
//!
//! Only [`Registry`] adds and removes workers and services. It updates the candidates of a service when an offer
//! changes, and sends to workers, because liveness changes with each envelope.

mod allowed;
mod batch;
mod candidates;
mod contracts;
mod footprint;
mod in_flight;
mod method;
mod offer;
mod operator_limits;
mod rate;
mod registration;
mod service;
mod slots;
mod token_bucket;
mod worker;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

pub use self::{
    allowed::{AllowedServices, AllowedServicesError},
    operator_limits::OperatorLimit,
};
use self::{batch::Batch, slots::Slots};
pub(crate) use self::{
    candidates::Candidate,
    method::Method,
    offer::{Offer, OfferedMethod},
    service::{Service, similar},
    slots::CallEnd,
    worker::Worker,
};
use super::{
    interface::Action,
    keys::{CallKey, ServiceKey, WorkerKey},
    metrics::{CompletedCall, SharedMetrics},
    timers::{Timer, Timers},
};
use crate::{
    time::Time,
    wire::{
        envelope::Envelope,
        handshake::{self, MethodOffer, Register},
        ids::{ConnectionId, DispatchNumber},
        limits::{METRICS_METHODS_MAX, REGISTRATIONS_BYTES_MAX},
        status::Code,
    },
};

/// The number of services that an error lists by name.
const LISTED_MAX: usize = 8;

/// All workers and services.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    workers: BTreeMap<WorkerKey, Worker>,
    services: BTreeMap<ServiceKey, Service>,
    names: BTreeMap<String, ServiceKey>,
    /// The services with offers, without the services that only callers have named.
    active: BTreeMap<String, ServiceKey>,
    /// The bytes that registrations take: see [`footprint`].
    bytes: usize,
    /// The names of the workers that operators have paused, connected or not.
    paused_workers: BTreeSet<String>,
    metrics: SharedMetrics,
}

impl Registry {
    /// Adds a worker. It is paused if an operator has paused workers of its name.
    pub(crate) fn add_worker(&mut self, key: WorkerKey, mut worker: Worker) {
        worker.paused = self.paused_workers.contains(&**worker.name);
        self.workers.insert(key, worker);
    }

    /// Returns the names of the workers that operators have paused.
    pub(crate) fn paused_workers(&self) -> &BTreeSet<String> {
        &self.paused_workers
    }

    /// Pauses or resumes the workers of a name, those that connect later included. Returns the connected ones.
    pub(crate) fn set_paused(&mut self, name: &str, paused: bool) -> Vec<WorkerKey> {
        match paused {
            true => drop(self.paused_workers.insert(name.to_owned())),
            false => drop(self.paused_workers.remove(name)),
        }
        let workers = self.workers_named(name);
        workers.iter().for_each(|&key| self.update_worker(key, |worker| worker.paused = paused));
        workers
    }

    /// Returns the workers of a name.
    pub(crate) fn workers_named(&self, name: &str) -> Vec<WorkerKey> {
        self.workers.iter().filter(|(_, worker)| **worker.name == *name).map(|(&key, _)| key).collect()
    }

    /// Returns the bytes that registrations take. [`crate::wire::limits::REGISTRATIONS_BYTES_MAX`] limits them.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Removes a worker, whose offers were withdrawn before.
    pub(crate) fn remove_worker(&mut self, key: WorkerKey) -> Option<Worker> {
        self.workers.remove(&key)
    }

    /// Returns a worker that must exist.
    ///
    /// # Panics
    /// If there is no such worker.
    pub(crate) fn worker(&self, key: WorkerKey) -> &Worker {
        &self.workers[&key]
    }

    /// Returns a worker that must exist.
    ///
    /// # Panics
    /// If there is no such worker.
    pub(crate) fn worker_mut(&mut self, key: WorkerKey) -> &mut Worker {
        self.workers.get_mut(&key).expect("the caller looked the worker up")
    }

    pub(crate) fn find_worker(&self, key: WorkerKey) -> Option<&Worker> {
        self.workers.get(&key)
    }

    pub(crate) fn find_worker_mut(&mut self, key: WorkerKey) -> Option<&mut Worker> {
        self.workers.get_mut(&key)
    }

    /// Returns all workers, in the order of their keys.
    pub(crate) fn workers(&self) -> impl Iterator<Item = (WorkerKey, &Worker)> {
        self.workers.iter().map(|(&key, worker)| (key, worker))
    }

    /// Returns the workers from a key on.
    pub(crate) fn workers_from(&self, key: WorkerKey) -> impl Iterator<Item = (WorkerKey, &Worker)> {
        self.workers.range(key..).map(|(&key, worker)| (key, worker))
    }

    pub(crate) fn workers_len(&self) -> usize {
        self.workers.len()
    }

    /// Returns the service of a call or an offer.
    ///
    /// # Panics
    /// If there is no such service: a service exists for as long as it has calls or offers.
    pub(crate) fn service(&self, key: ServiceKey) -> &Service {
        &self.services[&key]
    }

    /// Returns the service of a call or an offer.
    ///
    /// # Panics
    /// If there is no such service: a service exists for as long as it has calls or offers.
    pub(crate) fn service_mut(&mut self, key: ServiceKey) -> &mut Service {
        self.services.get_mut(&key).expect("a service exists for as long as it has calls or offers")
    }

    pub(crate) fn find_service_mut(&mut self, key: ServiceKey) -> Option<&mut Service> {
        self.services.get_mut(&key)
    }

    /// Returns all services, in the order of their keys.
    pub(crate) fn services(&self) -> impl Iterator<Item = (ServiceKey, &Service)> {
        self.services.iter().map(|(&key, service)| (key, service))
    }

    /// Returns all services, in the order of their names.
    pub(crate) fn services_by_name(&self) -> impl Iterator<Item = (ServiceKey, &Service)> {
        self.names.values().map(|key| (*key, &self.services[key]))
    }

    /// Returns the services with offers, in the order of their names.
    pub(crate) fn active(&self) -> impl Iterator<Item = (&str, ServiceKey)> {
        self.active.iter().map(|(name, &key)| (name.as_str(), key))
    }

    /// Returns the key of a service with offers.
    pub(crate) fn find_active(&self, name: &str) -> Option<ServiceKey> {
        self.active.get(name).copied()
    }

    /// Returns the key of a service.
    pub(crate) fn find(&self, name: &str) -> Option<ServiceKey> {
        self.names.get(name).copied()
    }

    /// Adds a service without offers.
    pub(crate) fn add_service(&mut self, key: ServiceKey, service: Service) {
        self.names.insert(service.name.clone(), key);
        self.services.insert(key, service);
    }

    /// Removes a service that has neither offers nor calls.
    pub(crate) fn remove_service(&mut self, key: ServiceKey, timers: &mut Timers) {
        let Some(service) = self.services.remove(&key) else { return };
        self.bytes -= footprint::of_service(&service);
        self.metrics.methods -= service.measured_methods;
        self.names.remove(&service.name);
        if let Some(at) = service.expiry {
            timers.cancel(at, Timer::ServiceExpiry(key));
        }
    }

    /// Sets the timer after which a service without offers and calls is removed.
    pub(crate) fn schedule_expiry(&mut self, at: Time, key: ServiceKey, timers: &mut Timers) {
        let Some(service) = self.services.get_mut(&key) else { return };
        if let Some(old) = service.expiry.replace(at) {
            timers.cancel(old, Timer::ServiceExpiry(key));
        }
        timers.set(at, Timer::ServiceExpiry(key));
    }

    /// Counts a call that has ended, of a method that some worker offers or offered, or of an unknown one.
    pub(crate) fn record_completed(&mut self, now: Time, key: ServiceKey, method: Option<usize>, call: &CompletedCall) {
        let service = self.services.get_mut(&key).expect("a service exists for as long as it has calls or offers");
        service.count_completed(now, call.code.is_none());
        let Some(method) = method else { return self.metrics.unknown.record(call) };
        let (before, has_room) = (service.measured_methods, self.metrics.has_room());
        service.metrics_of(method, has_room).unwrap_or(&mut self.metrics.other).record(call);
        self.metrics.methods += service.measured_methods - before;
    }

    /// Returns the counters of the calls that have no method's own counters.
    pub(crate) fn shared_metrics(&self) -> &SharedMetrics {
        &self.metrics
    }

    /// Sets the slots that the offers of a worker share, before its offers are added.
    pub(crate) fn set_shared_slots(&mut self, key: WorkerKey, register: &Register) {
        let worker = self.worker_mut(key);
        debug_assert!(worker.offers.is_empty(), "earlier offers were withdrawn");
        worker.shared_slots = Slots::of_worker(register);
        worker.next_offer = 0;
    }

    /// Forgets the methods of a service that no worker has offered since `now`, and that no call refers to.
    pub(crate) fn forget_unused_methods(&mut self, now: Time, key: ServiceKey) {
        let Some(service) = self.services.get_mut(&key) else { return };
        let before = footprint::of_service(service);
        self.metrics.methods -= service.measured_methods;
        service.forget_unused_methods(now);
        self.metrics.methods += service.measured_methods;
        self.bytes = self.bytes - before + footprint::of_service(service);
    }

    /// Adds a worker's offer of a service. The service exists.
    pub(crate) fn add_offer(&mut self, key: WorkerKey, at: ServiceKey, offer: &handshake::Offer, exclusive: bool) {
        let service = self.services.get_mut(&at).expect("the caller added it");
        self.bytes -= footprint::of_service(service);
        self.metrics.methods -= service.measured_methods;
        if service.offers == 0 {
            self.active.insert(offer.service.clone(), at);
        }
        service.offers += 1;
        service.exclusive = exclusive.then_some(key).or(service.exclusive);
        offer.contract.iter().for_each(|contract| service.contracts.add(contract));
        let add = |offered: &MethodOffer| {
            let method = service.add_method(offered)?;
            Some(OfferedMethod { method, effect: offered.effect, limits: offered.limits })
        };
        let methods = offer.methods.iter().filter_map(add).collect();
        self.metrics.methods += service.measured_methods;
        self.bytes += footprint::of_service(service);
        let worker = self.workers.get_mut(&key).expect("the caller looked the worker up");
        let offer = Offer::new(at, offer, methods);
        service.slots += u64::from(worker.slots_of(&offer));
        self.bytes += footprint::of_offer(&offer);
        worker.offers.push(offer);
        let index = worker.offers.len() - 1;
        self.update_offer(key, index, |_| {});
    }

    /// Counts a worker for each of the services that it offers.
    pub(crate) fn count_worker(&mut self, services: &[ServiceKey]) {
        services.iter().for_each(|&service| self.service_mut(service).workers += 1);
    }

    /// Withdraws all offers of a worker. Calls wait for another worker until `awaited_until`. Returns the services that
    /// it offered.
    pub(crate) fn withdraw_offers(
        &mut self,
        key: WorkerKey,
        awaited_until: Time,
        timers: &mut Timers,
    ) -> Vec<ServiceKey> {
        let Some(worker) = self.workers.get_mut(&key) else { return Vec::new() };
        let mut services = Vec::new();
        for (index, offer) in worker.offers.iter().enumerate() {
            if let Some(until) = offer.paused_until {
                timers.cancel(until, Timer::OfferPause(key, index));
            }
            let service = offered(&mut self.services, offer);
            self.bytes -= footprint::of_service(service) + footprint::of_offer(offer);
            service.free.remove(&worker.candidate(key, index));
            service.offers -= 1;
            if service.offers == 0 {
                self.active.remove(&service.name);
            }
            service.slots -= u64::from(worker.slots_of(offer));
            service.running -= u64::from(offer.slots.running);
            service.awaited_until = awaited_until;
            service.exclusive = service.exclusive.filter(|&owner| owner != key);
            offer.contract.iter().for_each(|&hash| service.contracts.remove(hash));
            let methods = offer.methods.iter();
            methods.for_each(|offered| service.remove_method(offered.method, offered.effect, awaited_until));
            self.bytes += footprint::of_service(service);
            services.push(offer.service);
        }
        worker.offers.clear();
        services.sort_unstable();
        services.dedup();
        services.iter().for_each(|&service| self.service_mut(service).workers -= 1);
        services
    }

    /// Changes an offer, and with it its place among the candidates of its service.
    pub(crate) fn update_offer(&mut self, key: WorkerKey, index: usize, change: impl FnOnce(&mut Offer)) {
        let worker = self.workers.get_mut(&key).expect("the caller looked the worker up");
        let service = offered(&mut self.services, &worker.offers[index]);
        service.free.remove(&worker.candidate(key, index));
        let offer = &mut worker.offers[index];
        service.running -= u64::from(offer.slots.running);
        change(offer);
        service.running += u64::from(offer.slots.running);
        if worker.has_room(index) {
            service.free.insert(worker.candidate(key, index));
        }
    }

    /// Changes whether a worker takes calls, or the load of its shared slots, and with it the places of its offers among the candidates.
    pub(crate) fn update_worker(&mut self, key: WorkerKey, change: impl FnOnce(&mut Worker)) {
        let worker = self.workers.get_mut(&key).expect("the caller looked the worker up");
        let services = &mut self.services;
        for (index, offer) in worker.offers.iter().enumerate() {
            offered(services, offer).free.remove(&worker.candidate(key, index));
        }
        change(worker);
        for (index, offer) in worker.offers.iter().enumerate().filter(|&(index, _)| worker.has_room(index)) {
            offered(services, offer).free.insert(worker.candidate(key, index));
        }
    }

    /// Changes the slots that the offers of a worker share, if they do.
    fn update_shared_slots(&mut self, key: WorkerKey, change: impl FnOnce(&mut Slots)) {
        if self.worker(key).shares_slots() {
            self.update_worker(key, |worker| worker.shared_slots.as_mut().map_or((), change));
        }
    }

    /// Returns the best offer of a service that has room for a call of a method.
    pub(crate) fn best_offer(&self, service: ServiceKey, method: usize) -> Option<Candidate> {
        self.free_offers(service, method).next()
    }

    /// Returns the offer that gets a call of a method in this turn: that of the present batch, or else the best one.
    pub(crate) fn next_offer(
        &mut self,
        turn: Time,
        key: ServiceKey,
        method: usize,
        batch_time: Duration,
    ) -> Option<Candidate> {
        let service = self.services.get_mut(&key)?;
        let handler_time = service.method(method).expected_time();
        if let Some((worker, offer)) = service.batch.as_mut().and_then(|batch| batch.next(turn, handler_time))
            && let Some(at) = self.workers.get(&worker)
            && at.has_free_slot(offer)
            && at.offers[offer].service == key
            && at.offers[offer].serves(method)
        {
            return Some(at.candidate(worker, offer));
        }
        let best = self.best_offer(key, method);
        let left = batch_time.saturating_sub(handler_time);
        self.service_mut(key).batch = best.map(|best| Batch::new(turn, best, left));
        best
    }

    /// Returns the offers of a service that have room for a call of a method, the best first.
    pub(crate) fn free_offers(&self, service: ServiceKey, method: usize) -> impl Iterator<Item = Candidate> + '_ {
        let serves =
            move |candidate: &&Candidate| self.workers[&candidate.worker].offers[candidate.offer].serves(method);
        self.services[&service].free.iter().filter(serves).copied()
    }

    /// Returns the best offer of one worker that has room for a call of a method.
    pub(crate) fn best_offer_of(&self, key: WorkerKey, service: ServiceKey, method: usize) -> Option<Candidate> {
        let worker = self.workers.get(&key).filter(|worker| worker.takes_calls_now())?;
        let fits = |offer: &Offer| offer.service == service && offer.serves(method) && offer.has_room();
        let offers = worker.offers.iter().enumerate().filter(|(_, offer)| fits(offer));
        offers.map(|(index, _)| worker.candidate(key, index)).min()
    }

    /// Returns whether a worker offers a method.
    pub(crate) fn serves(&self, key: WorkerKey, service: ServiceKey, method: usize) -> bool {
        self.workers[&key].offers.iter().any(|offer| offer.service == service && offer.serves(method))
    }

    /// Returns the workers that offer a method, do not drain and are not paused.
    pub(crate) fn workers_serving(&self, service: ServiceKey, method: usize) -> Vec<WorkerKey> {
        let stays = |worker: &Worker| !worker.draining && !worker.paused;
        let staying = self.workers.iter().filter(|(_, worker)| stays(worker)).map(|(&key, _)| key);
        staying.filter(|&key| self.serves(key, service, method)).collect()
    }

    /// Returns an offer that may be given a call now, and its service.
    pub(crate) fn offer_with_room(&mut self, key: WorkerKey, index: usize) -> Option<(&Offer, &mut Service)> {
        let worker = self.workers.get(&key).filter(|worker| worker.takes_calls_now())?;
        let offer = worker.offers.get(index).filter(|offer| offer.has_room())?;
        Some((offer, self.services.get_mut(&offer.service)?))
    }

    /// Adds a call with a body of so many bytes to those that a worker runs in an offer. The worker may have `in_flight_max` unread bytes.
    pub(crate) fn begin_call(
        &mut self,
        at: Candidate,
        dispatch: DispatchNumber,
        call: CallKey,
        bytes: usize,
        in_flight_max: usize,
    ) {
        self.update_offer(at.worker, at.offer, |offer| offer.slots.begin_call());
        self.update_shared_slots(at.worker, Slots::begin_call);
        if self.worker_mut(at.worker).in_flight.send(dispatch, bytes, in_flight_max) {
            self.update_worker(at.worker, |worker| worker.in_flight.is_full = true);
        }
        let worker = self.worker_mut(at.worker);
        worker.running.insert(dispatch.0, call);
        worker.connection.calls += 1;
    }

    /// Records that the handler of a call that a worker runs in an offer has started.
    pub(crate) fn start_call(&mut self, key: WorkerKey, index: usize) {
        self.update_offer(key, index, |offer| offer.slots.start_call());
        self.update_shared_slots(key, Slots::start_call);
    }

    /// Removes a call that a worker had in an offer. `idle` is above the numbers of all earlier ends.
    pub(crate) fn end_call(&mut self, key: WorkerKey, index: usize, end: CallEnd, idle: u64) {
        self.update_offer(key, index, |offer| {
            offer.slots.end_call(end);
            offer.idle = idle;
        });
        self.update_shared_slots(key, |slots| slots.end_call(end));
    }

    /// Frees slots of an offer that calls of an earlier connection held until now.
    pub(crate) fn free_held_slots(&mut self, key: WorkerKey, index: usize, calls: u32) {
        let calls = self.worker(key).offers[index].slots.held_of(calls);
        self.update_offer(key, index, |offer| offer.slots.free_held(calls));
        self.update_shared_slots(key, |slots| slots.free_held(calls));
    }

    /// Records that a worker has read a dispatch and all before it. Returns whether it may be given calls again because of that.
    pub(crate) fn record_read(&mut self, key: WorkerKey, number: DispatchNumber, max: usize) -> bool {
        let has_room_again = self.worker_mut(key).in_flight.read_up_to(number, max);
        if has_room_again {
            self.update_worker(key, |worker| worker.in_flight.is_full = false);
        }
        has_room_again
    }

    /// Sets the timer of a worker's next heartbeat.
    pub(crate) fn schedule_heartbeat(
        &mut self,
        key: WorkerKey,
        stall_recovered_at: Time,
        heartbeat: Duration,
        timers: &mut Timers,
    ) {
        let Some(worker) = self.workers.get_mut(&key) else { return };
        timers.set(worker.connection.next_heartbeat(stall_recovered_at, heartbeat), Timer::WorkerHeartbeat(key));
    }

    /// Returns the id of a worker's connection.
    pub(crate) fn connection_of(&self, key: WorkerKey) -> Option<ConnectionId> {
        self.workers.get(&key).map(|worker| worker.connection.id)
    }

    /// Sends an envelope to a worker.
    pub(crate) fn send(&mut self, now: Time, key: WorkerKey, envelope: Envelope, out: &mut Vec<Action>) {
        let Some(worker) = self.workers.get_mut(&key) else { return };
        worker.connection.record_send(now, &envelope);
        out.push(Action::Send(worker.connection.id, envelope));
    }

    /// Returns why no worker can run a call of a method, with the names that the caller may have meant.
    pub(crate) fn explain_unserved(&self, service: ServiceKey, method: &str) -> (Code, String) {
        let service = &self.services[&service];
        if service.offers > 0 {
            let meant = did_you_mean(&service.similar_methods(method));
            return (Code::Unimplemented, format!("{} has no method {method}{meant}", service.name));
        }
        (Code::Unavailable, self.explain_no_workers(&service.name))
    }

    /// Returns the text for a service without workers, with the services that have some.
    pub(crate) fn explain_no_workers(&self, name: &str) -> String {
        let active = self.active.keys().map(String::as_str);
        let there = match self.active.len() {
            0 => "no worker is registered".to_owned(),
            1..=LISTED_MAX => format!("services with workers: {}", active.collect::<Vec<_>>().join(", ")),
            many => format!("there are {many} services{}", did_you_mean(&similar(name, active))),
        };
        format!("no worker serves {name}; {there}")
    }

    /// Asserts that a worker's bytes in flight and offers are consistent, and that an offer is a candidate exactly if it has room.
    pub(crate) fn assert_invariants(&self, in_flight_max: usize, timers: &Timers) {
        for (&key, worker) in &self.workers {
            assert!(
                timers.is_set(worker.connection.timer, Timer::WorkerHeartbeat(key)),
                "a worker has a heartbeat timer"
            );
            worker.in_flight.assert_invariants(in_flight_max);
            assert_eq!(worker.paused, self.paused_workers.contains(&**worker.name), "a worker is paused by its name");
            worker.assert_invariants();
            for (index, offer) in worker.offers.iter().enumerate() {
                let ends = offer.paused_until.is_none_or(|until| timers.is_set(until, Timer::OfferPause(key, index)));
                assert!(ends, "a pause ends");
                let is_candidate = self.services[&offer.service].free.contains(&worker.candidate(key, index));
                assert_eq!(is_candidate, worker.has_room(index), "an offer is a candidate exactly if it has room");
            }
        }
        for (&key, service) in &self.services {
            assert_eq!(self.names.get(&service.name), Some(&key), "a service is found by its name");
            let active = Some(&key).filter(|_| service.offers > 0);
            assert_eq!(self.active.get(&service.name), active, "a service is active exactly if it has offers");
            service.free.assert_invariants();
            service.assert_invariants(key, timers);
            self.assert_counts(key, service);
        }
        let services: usize = self.services.values().map(footprint::of_service).sum();
        let offers: usize =
            self.workers.values().map(|worker| worker.offers.iter().map(footprint::of_offer).sum::<usize>()).sum();
        assert_eq!(self.bytes, services + offers, "the bytes of registrations are counted");
        let measured: usize = self.services.values().map(|service| service.measured_methods).sum();
        assert_eq!(self.metrics.methods, measured, "methods with counters of their own are counted");
        assert!(measured <= METRICS_METHODS_MAX, "methods with counters of their own are bounded");
        assert!(self.bytes <= REGISTRATIONS_BYTES_MAX, "registrations are bounded together");
        assert!(self.active.values().all(|key| self.services.contains_key(key)), "an active service exists");
    }

    fn assert_counts(&self, key: ServiceKey, service: &Service) {
        let offers = self.workers.values().flat_map(|worker| worker.offers.iter().map(move |offer| (worker, offer)));
        let offers = || offers.clone().filter(|(_, offer)| offer.service == key);
        let workers = self.workers.values().filter(|worker| worker.offers.iter().any(|offer| offer.service == key));
        let slots: u64 = offers().map(|(worker, offer)| u64::from(worker.slots_of(offer))).sum();
        let running: u64 = offers().map(|(_, offer)| u64::from(offer.slots.running)).sum();
        let measured = service.methods().iter().filter(|method| method.metrics.is_some()).count();
        assert_eq!(service.measured_methods, measured, "methods with counters of their own are counted by service");
        let counted = (service.offers, service.slots, service.running, service.workers);
        assert_eq!(counted, (offers().count(), slots, running, workers.count()), "offers are counted");
        service.contracts.assert_invariants(offers().filter_map(|(_, offer)| offer.contract));
    }
}

/// Returns the service of an offer.
fn offered<'a>(services: &'a mut BTreeMap<ServiceKey, Service>, offer: &Offer) -> &'a mut Service {
    services.get_mut(&offer.service).expect("an offered service exists")
}

fn did_you_mean(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        _ => format!("; did you mean {}?", names.join(" or ")),
    }
}
