//! What must hold after every step.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Broker, Owner,
    arrival::Arrival,
    call::{Call, CallKey, State},
    client::Client,
    keyed,
    service::{Service, ServiceKey},
    timers::Timer,
    worker::WorkerKey,
};
use crate::contract::ContractHash;

impl Broker {
    /// Asserts the machine's invariants. For tests and the simulation, which call it after every step.
    ///
    /// # Panics
    /// If one does not hold: a bug of the machine.
    pub fn assert_invariants(&self) {
        self.check_connections();
        self.check_clients();
        self.check_parties();
        self.check_workers();
        self.check_calls();
        self.check_streams();
        self.dead.check();
        self.check_services();
        self.check_concurrency();
        self.check_keys();
        self.check_broadcasts();
    }

    /// Each connection belongs to one peer that knows it; each session to one owner.
    fn check_connections(&self) {
        for (connection, arrival) in &self.connections {
            match arrival {
                Arrival::Client(key) => {
                    assert_eq!(self.client_connection(*key), Some(*connection), "a client knows its connection")
                }
                Arrival::Worker(key) => {
                    assert_eq!(self.workers[key].presence.connection, *connection, "a worker knows its connection")
                }
                Arrival::Silent { until, .. } | Arrival::Challenged { until, .. } | Arrival::Unproven { until, .. } => {
                    assert!(
                        self.timers.contains(&(*until, Timer::Handshake(*connection))),
                        "a newcomer's time is limited"
                    );
                }
            }
        }
        for (session, owner) in &self.sessions {
            let owned = match owner {
                Owner::Client(key) => self.clients[key].session,
                Owner::Worker(key) => self.workers[key].session,
            };
            assert_eq!(*session, owned, "a session's owner has it");
        }
        assert_eq!(self.sessions.len(), self.clients.len() + self.workers.len(), "each peer has one session");
    }

    /// A client is here or has a limited time to return; what it has open is open.
    fn check_clients(&self) {
        for (key, client) in &self.clients {
            client.check();
            let timer = match &client.presence {
                Some(presence) => (presence.timer, Timer::Client(*key)),
                None => (client.gone_at, Timer::ClientGone(*key)),
            };
            assert!(self.timers.contains(&timer), "a client is watched");
            for (number, call) in client.open.iter() {
                let call = &self.calls[call.0];
                assert_eq!((call.client, call.id.number.0), (Some(*key), number), "an open call is its client's");
            }
        }
    }

    /// Who shares the broker is counted, and so is what waits and what is remembered.
    fn check_parties(&self) {
        let waits = |call: &Call| matches!(call.state, State::Waiting { .. } | State::Blocked);
        let waiting = self.calls.iter().filter(|(_, call)| waits(call));
        let clients = self.clients.values().map(|client| client.party);
        self.parties.check(clients, waiting.map(|(_, call)| (call.party, call.body.len())));
        let away = self.clients.values().filter(|client| client.presence.is_none());
        self.away.check(away, self.settings.clients_away_max);
        let remembered: usize = self.clients.values().map(Client::outcome_bytes).sum();
        assert_eq!(self.outcome_bytes, remembered, "what is remembered is counted");
        assert!(remembered <= self.settings.outcomes_bytes_max, "what is remembered is bounded");
    }

    /// A worker has what it runs, never more than its room, and stands among the candidates exactly if it has room.
    fn check_workers(&self) {
        for (key, worker) in &self.workers {
            assert!(self.timers.contains(&(worker.presence.timer, Timer::Worker(*key))), "a worker is watched");
            for (number, call) in worker.running.iter() {
                let state = self.calls[call.0].state;
                assert!(
                    matches!(state, State::Running { worker, dispatch, .. } if worker == *key && dispatch.0 == number),
                    "what a worker runs is running there"
                );
            }
            let stuck = worker.running.values().filter(|call| self.calls[call.0].limits.stuck).count();
            assert_eq!(worker.stuck, stuck, "calls that a worker is stuck with are counted");
            worker.unread.check(self.settings.worker_bytes_max);
            let running: u32 = worker.offers.iter().map(|offer| offer.running).sum();
            assert_eq!(running as usize, worker.running.len(), "running calls are counted");
            for (at, offer) in worker.offers.iter().enumerate() {
                assert!(offer.running <= offer.room, "never more calls than room");
                let rests = offer.resting.is_none_or(|until| self.timers.contains(&(until, Timer::Rest(*key, at))));
                assert!(rests, "a rest ends");
                let free = self.services[&offer.service].free.contains(&offer.candidate(*key, at));
                assert_eq!(
                    free,
                    offer.has_room() && worker.takes_calls_now(),
                    "a candidate has room, and who has room is one"
                );
            }
        }
    }

    /// A call is in one place, and it has a timer exactly if it may time out.
    fn check_calls(&self) {
        let queued: BTreeSet<CallKey> = self.services.values().flat_map(|service| service.queue.iter()).collect();
        for (key, call) in &self.calls {
            let key = CallKey(key);
            match call.state {
                State::New => panic!("a call is somewhere between two steps"),
                // Keys know who waits for them.
                State::Blocked => {}
                // So do broadcasts of their parts.
                State::Gathering => {}
                State::Waiting { .. } => {
                    assert!(queued.contains(&key), "a waiting call is in its queue");
                }
                State::Running { worker, dispatch, .. } => {
                    assert_eq!(self.workers[&worker].running.get(dispatch.0), Some(&key), "its worker has it");
                }
            }
            assert!(call.timer.is_none_or(|deadline| self.deadlines.contains(deadline, key)), "its timer is set");
            let limited = call.deadline.is_some() && call.client.is_some();
            assert!(!limited || call.timer.is_some(), "a call that somebody waits for ends in time");
            let remembered = call.client.and_then(|client| self.clients.get(&client));
            if let Some(client) = remembered.filter(|_| !call.cast) {
                assert_eq!(client.open.get(call.id.number.0), Some(&key), "its client has it open");
            }
        }
        assert_eq!(
            self.deadlines.len(),
            self.calls.iter().filter(|(_, call)| call.timer.is_some()).count(),
            "no timer outlives its call"
        );
    }

    /// Streams keep to their windows, what they hold is counted, and who is answered has none.
    fn check_streams(&self) {
        let mut held = 0;
        for (_, call) in &self.calls {
            let Some(flows) = &call.flows else { continue };
            flows.check();
            assert!(call.client.is_some(), "a stream ends with its call's outcome");
            held += flows.held_bytes();
        }
        assert_eq!(self.stream_bytes, held, "what streams hold is counted");
    }

    /// Each service's tables agree, and nothing waits for a worker that has room for it.
    fn check_services(&self) {
        let mut counts: BTreeMap<ServiceKey, (usize, u64, u64, BTreeSet<WorkerKey>)> = BTreeMap::new();
        let mut contracts: BTreeMap<ServiceKey, Vec<ContractHash>> = BTreeMap::new();
        for (key, worker) in &self.workers {
            for offer in &worker.offers {
                contracts.entry(offer.service).or_default().extend(offer.contract);
                let (offers, slots, running, workers) = counts.entry(offer.service).or_default();
                *offers += 1;
                *slots += u64::from(offer.slots);
                *running += u64::from(offer.running);
                workers.insert(*key);
            }
        }
        let mut calls: BTreeMap<ServiceKey, usize> = BTreeMap::new();
        self.calls.iter().for_each(|(_, call)| *calls.entry(call.service).or_default() += 1);
        for (key, service) in &self.services {
            service.queue.check();
            service.contracts.check(contracts.remove(key).unwrap_or_default().into_iter());
            assert_eq!(self.service_names.get(&service.name), Some(key), "a service is found by its name");
            let served = Some(key).filter(|_| service.offers > 0);
            assert_eq!(self.served.get(&service.name), served, "who is served is found among those");
            let (offers, slots, running, workers) = counts.remove(key).unwrap_or_default();
            let counted = (service.offers, service.slots, service.running, service.workers);
            assert_eq!(counted, (offers, slots, running, workers.len()), "offers are counted");
            assert_eq!(service.calls, calls.remove(key).unwrap_or_default(), "calls are counted");
            self.check_waiting(service);
        }
        assert!(self.served.values().all(|key| self.services.contains_key(key)), "no served service is forgotten");
    }

    fn check_waiting(&self, service: &Service) {
        service.free.check();
        for free in service.free.iter() {
            let offer = &self.workers[&free.worker].offers[free.offer];
            let may = |method: usize| offer.serves(method) && !service.methods[method].is_full();
            let fits = |call: &Call| call.method_number.is_some_and(may);
            let mut waiting = service.queue.iter().map(|call| &self.calls[call.0]);
            assert!(
                !waiting.any(|call| fits(call) && keyed::suits(call, free.worker)),
                "a call waits beside a worker with room for it"
            );
        }
    }
}
