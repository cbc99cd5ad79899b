//! The invariants between the parts of the broker, which hold after every step. The invariants within a part are
//! asserted in the part.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{
    calls::{Call, CallState},
    handshake::ConnectionState,
    keys::{CallKey, ServiceKey},
    registry::Service,
    scheduling,
    sessions::SessionOwner,
    timers::Timer,
};
use super::state::Broker;

/// Asserts all invariants.
pub(super) fn assert_all(broker: &Broker) {
    broker.connections.assert_invariants(&broker.timers);
    broker.sessions.assert_invariants(broker.settings.disconnected_clients_max, broker.settings.outcomes_bytes_max);
    broker.registry.assert_invariants(broker.settings.worker_bytes_max, &broker.timers);
    broker.calls.assert_invariants();
    broker.affinity.assert_invariants(&broker.calls, &broker.registry, &broker.timers);
    broker.streams.assert_invariants(&broker.calls);
    broker.broadcasts.assert_invariants(&broker.calls, &broker.registry);
    broker.dead_letters.assert_invariants();
    assert!(broker.deferred.is_empty(), "no work is left deferred");
    assert_connections(broker);
    assert_clients(broker);
    assert_workers(broker);
    assert_tenants(broker);
    assert_calls(broker);
    assert_services(broker);
}

/// Asserts that each authenticated connection belongs to one peer, and each session to one owner.
fn assert_connections(broker: &Broker) {
    for (connection, state) in broker.connections.iter() {
        let known = match *state {
            ConnectionState::Client(key) => broker.sessions.connection_of(key),
            ConnectionState::Worker(key) => broker.registry.connection_of(key),
            _ => continue,
        };
        assert_eq!(known, Some(connection), "a peer has the connection that it was authenticated on");
    }
    for (session, owner) in broker.sessions.owners() {
        let owned = match *owner {
            SessionOwner::Client(key) => broker.sessions.get(key).map(|client| client.session()),
            SessionOwner::Worker(key) => broker.registry.find_worker(key).map(|worker| worker.session),
        };
        assert_eq!(Some(*session), owned, "a session's owner has it");
    }
    let peers = broker.sessions.len() + broker.registry.workers_len();
    assert_eq!(broker.sessions.owners().count(), peers, "each peer has one session");
}

/// Asserts that each client is connected or has a limited time to return, and that its open calls are its own.
fn assert_clients(broker: &Broker) {
    for (key, client) in broker.sessions.iter() {
        let (at, timer) = match client.connection() {
            Some(connection) => (connection.timer, Timer::ClientHeartbeat(key)),
            None => (client.expires_at(), Timer::ClientExpiry(key)),
        };
        assert!(broker.timers.is_set(at, timer), "a client has a heartbeat or an expiry");
        for (number, call) in client.open_calls() {
            let call = &broker.calls[call];
            assert_eq!((call.client, call.number.0), (Some(key), number), "an open call is its client's");
        }
    }
}

/// Asserts that each worker runs exactly the calls that are in the running state at it.
fn assert_workers(broker: &Broker) {
    for (key, worker) in broker.registry.workers() {
        for (number, &call) in worker.running.iter() {
            let state = broker.calls[call].state;
            let runs_here = |at, dispatch: u64| at == key && dispatch == number;
            assert!(
                matches!(state, CallState::Running { worker, dispatch, .. } if runs_here(worker, dispatch.0)),
                "a call that a worker runs is in the running state"
            );
        }
        let unresponsive = worker.running.values().filter(|call| is_unresponsive(&broker.calls[**call])).count();
        assert_eq!(worker.unresponsive_calls, unresponsive, "calls that make a worker unresponsive are counted");
    }
}

/// Asserts that the clients and backlogs of tenants are counted.
fn assert_tenants(broker: &Broker) {
    let clients = broker.sessions.iter().map(|(_, client)| client.tenant());
    let waiting = broker.calls.iter().filter(|(_, call)| call.is_waiting());
    broker.tenants.assert_invariants(clients, waiting.map(|(_, call)| (call.tenant(), call.body.len())));
}

/// Asserts that each call is in exactly one place.
fn assert_calls(broker: &Broker) {
    let queued: BTreeSet<CallKey> = broker.registry.services().flat_map(|(_, service)| service.queue.iter()).collect();
    for (key, call) in broker.calls.iter() {
        assert_eq!(
            queued.contains(&key),
            matches!(call.state, CallState::Queued { .. }),
            "a queued call is in a queue"
        );
        if let CallState::Running { worker, dispatch, .. } = call.state {
            assert_eq!(broker.registry.worker(worker).running.get(dispatch.0), Some(&key), "its worker lists it");
        }
        let client = call.client.and_then(|client| broker.sessions.get(client));
        if let Some(client) = client.filter(|_| !call.cast) {
            assert_eq!(client.open_call(call.number.0), Some(key), "its client lists it");
        }
    }
}

/// Asserts that the calls of services and methods are counted, and that no call waits for a worker that has room for
/// it.
fn assert_services(broker: &Broker) {
    let mut calls = BTreeMap::<ServiceKey, usize>::new();
    let mut methods = BTreeMap::<(ServiceKey, Option<usize>), (u32, usize)>::new();
    for (_, call) in broker.calls.iter() {
        *calls.entry(call.service).or_default() += 1;
        let (running, all) = methods.entry((call.service, call.method_index())).or_default();
        *running += u32::from(matches!(call.state, CallState::Running { .. }));
        *all += 1;
    }
    for (key, service) in broker.registry.services() {
        service.queue.assert_invariants();
        assert_eq!(service.calls, calls.remove(&key).unwrap_or_default(), "calls of a service are counted");
        for (index, method) in service.methods().iter().enumerate() {
            let counted = methods.remove(&(key, Some(index))).unwrap_or_default();
            assert_eq!((method.running, method.calls), counted, "calls of a method are counted");
        }
        assert_dispatched(broker, service);
    }
}

fn assert_dispatched(broker: &Broker, service: &Service) {
    for free in service.free().iter() {
        let offer = &broker.registry.worker(free.worker).offers()[free.offer];
        let rule = service.rule();
        let may = |method: usize| offer.serves(method) && rule.may_start(method);
        let fits = |call: &Call| call.method_index().is_some_and(may) && scheduling::may_run_at(call, free.worker);
        let mut waiting = service.queue.iter().map(|call| &broker.calls[call]);
        assert!(!waiting.any(fits), "no call waits for a worker that has room for it");
    }
}

fn is_unresponsive(call: &Call) -> bool {
    call.limits.as_ref().is_some_and(|limits| limits.is_unresponsive)
}
