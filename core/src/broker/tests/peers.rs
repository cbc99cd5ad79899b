//! Connected peers: their status, what they may serve, and the cached replies of the broker.

use super::harness::{Harness, calc, hello, millis, request, seconds, session};
use crate::{
    body,
    broker::{Endpoint, Event, PeerStatus, Peers, ServiceStatus, Settings},
    wire::{
        Envelope,
        handshake::{Register, Role},
        ids::ConnectionId,
        limits::{PEERS_PAGE_MAX, REGISTRATIONS_MAX},
        status::Code,
    },
};

/// Calls `callboard.peers` for the page that begins at a peer id.
fn peers(harness: &mut Harness, client: ConnectionId, number: u64, from: u64) -> Peers {
    let mut peers_request = request(number, "callboard.peers");
    peers_request.body = body::encode(&[from]).unwrap();
    harness.send(client, Envelope::Request(peers_request));
    let (_, answer) = harness.replies(client).pop().unwrap();
    body::decode(&answer.unwrap()).unwrap()
}

#[test]
fn peers_lists_connections_with_addresses_and_counters() {
    let mut harness = Harness::new();
    let worker = harness.worker(7, calc(2));
    let client = harness.client(9);
    harness.call(client, 1, "calc.add");
    let dispatch = harness.dispatches(worker).remove(0);
    harness.advance_with(millis(400), &[client, worker]);
    let Peers { peers: all, next: None } = peers(&mut harness, client, 2, 0) else { panic!("expected a single page") };
    let [PeerStatus { role: Role::Worker, open: 1, instance, connection: Some(served), .. }, caller] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!((instance.as_str(), served.calls, served.bytes_out), ("peer-7", 1, 1));
    let from = caller.connection.as_ref().unwrap();
    assert_eq!((caller.role, caller.open, from.calls, from.age_ms), (Role::Client, 1, 2, 400));
    assert_eq!(from.address, format!("tcp://192.0.2.7:{client}"));
    assert!(from.bytes_in > 0 && served.bytes_in > 0);
    let secret = session(9).0.map(|byte| format!("{byte:02x}")).concat();
    assert!(secret.starts_with(&caller.session) && caller.session.len() == 8, "the rest of the session id is secret");
    harness.reply(worker, &dispatch, &[5]);
    assert_eq!(peers(&mut harness, client, 3, 0).peers[0].open, 0);
}

#[test]
fn a_disconnected_client_is_listed_without_a_connection() {
    let mut harness = Harness::new();
    let (lost, client) = (harness.client(1), harness.client(2));
    harness.handle(Event::Closed { connection: lost });
    assert!(peers(&mut harness, client, 1, 0).peers[0].connection.is_none());
    harness.advance_with(seconds(3), &[client]);
    assert_eq!(peers(&mut harness, client, 2, 0).peers.len(), 1);
}

#[test]
fn peers_are_paged() {
    let mut harness = Harness::new();
    for number in 0..PEERS_PAGE_MAX + 44 {
        let (role, endpoint) =
            if number % 3 == 0 { (Role::Worker, Endpoint::Backend) } else { (Role::Client, Endpoint::Frontend) };
        let mut peer = hello(role, 1, 1);
        peer.session.0[..8].copy_from_slice(&(number as u64).to_be_bytes());
        harness.handshake(endpoint, &peer);
    }
    let client = harness.client(200);
    let first = peers(&mut harness, client, 1, 0);
    let second = peers(&mut harness, client, 2, first.next.unwrap());
    assert_eq!((first.peers.len(), second.peers.len(), second.next), (PEERS_PAGE_MAX, 45, None));
    let ids: Vec<_> = first.peers.iter().chain(&second.peers).map(|peer| peer.id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "no peer is listed twice");
}

#[test]
fn the_argument_of_peers_must_be_a_number() {
    let mut harness = Harness::new();
    let client = harness.client(1);
    let mut peers_request = request(1, "callboard.peers");
    peers_request.body = body::encode(&["all"]).unwrap();
    harness.send(client, Envelope::Request(peers_request));
    assert_eq!(harness.failure(client).code, Code::InvalidArgument);
}

#[test]
fn limits_hit_are_counted_per_peer() {
    let mut harness = Harness::just_started(Settings { queue_calls_max: 1, ..Settings::default() });
    let client = harness.client(1);
    (1..=3).for_each(|number| harness.call(client, number, "calc.add"));
    assert_eq!(harness.replies(client).len(), 2);
    let limits_hit = peers(&mut harness, client, 4, 0).peers[0].connection.as_ref().unwrap().limits_hit;
    assert_eq!(limits_hit, 2);
}

#[test]
fn a_service_outside_the_allowed_services_is_rejected() {
    let mut harness =
        Harness::just_started(Settings { services: "calc, billing.*".parse().unwrap(), ..Settings::default() });
    let named = |name: &str| Register {
        offers: vec![crate::wire::handshake::Offer { service: name.to_owned(), ..calc(1) }],
        exclusive: name.starts_with("callboard."),
        ..Register::default()
    };
    for (number, name) in (1..).zip(["calc", "billing.invoices", "callboard.pool.calc"]) {
        let connection = harness.handshake(Endpoint::Backend, &hello(Role::Worker, number, 1));
        harness.register(connection, named(name));
        assert!(!harness.closed.contains(&connection), "{name}");
    }
    for (number, name) in (11..).zip(["billing", "calc.more", "other"]) {
        let connection = harness.handshake(Endpoint::Backend, &hello(Role::Worker, number, 1));
        harness.register(connection, named(name));
        let failure = harness.disconnect_reason(connection);
        assert_eq!(failure.code, Code::PermissionDenied);
        assert!(failure.message.contains(name) && failure.message.contains("services is calc, billing.*"), "{failure}");
    }
}

#[test]
fn a_worker_that_registers_too_often_is_disconnected() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let again = || Register { offers: vec![calc(1)], ..Register::default() };
    for _ in 1..REGISTRATIONS_MAX {
        harness.register(worker, again());
    }
    assert!(harness.closed.is_empty());
    harness.advance_with(seconds(10), &[worker]);
    harness.register(worker, again());
    assert!(harness.closed.is_empty(), "a worker may register again after a while");
    for _ in 0..REGISTRATIONS_MAX {
        harness.register(worker, again());
    }
    assert_eq!(harness.disconnect_reason(worker).code, Code::ResourceExhausted);
}

#[test]
fn the_counters_of_a_service_follow_its_workers() {
    let mut harness = Harness::new();
    let (one, two) = (harness.worker(1, calc(2)), harness.worker(2, calc(3)));
    let client = harness.client(3);
    (1..=4).for_each(|number| harness.call(client, number, "calc.add"));
    let figures = |harness: &Harness| {
        let ServiceStatus { workers, slots, running, .. } = harness.broker.service_statuses(harness.now).remove(0);
        (workers, slots, running)
    };
    assert_eq!(figures(&harness), (2, 5, 4));
    harness.handle(Event::Closed { connection: one });
    assert_eq!(figures(&harness), (1, 3, 3));
    let dispatch = harness.dispatches(two).remove(0);
    harness.reply(two, &dispatch, &[5]);
    assert_eq!(figures(&harness), (1, 3, 3), "the waiting call took the free slot");
}

#[test]
fn services_returns_a_cached_reply_until_it_is_old_or_wrong() {
    let mut harness = Harness::new();
    harness.worker(1, calc(2));
    let client = harness.client(2);
    let ask = |harness: &mut Harness, number| {
        harness.call(client, number, "callboard.services");
        harness.replies(client).remove(0).1.unwrap()
    };
    let first = ask(&mut harness, 1);
    harness.call(client, 2, "calc.add");
    assert_eq!(ask(&mut harness, 3), first);
    harness.advance_with(millis(200), &[client]);
    let second = ask(&mut harness, 4);
    assert_ne!(second, first);
    harness.worker(3, calc(2));
    assert_ne!(ask(&mut harness, 5), second, "a new worker invalidates the cached reply");
}
