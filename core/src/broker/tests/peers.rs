//! Who is who, and what one may serve.

use super::stage::{Stage, calc, hello, millis, request, seconds, session};
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

/// Asks for the peers from a number on.
fn peers(stage: &mut Stage, client: ConnectionId, number: u64, from: u64) -> Peers {
    let mut ask = request(number, "callboard.peers");
    ask.body = body::encode(&[from]).unwrap();
    stage.say(client, Envelope::Request(ask));
    let (_, answer) = stage.replies(client).pop().unwrap();
    body::decode(&answer.unwrap()).unwrap()
}

#[test]
fn the_broker_tells_who_is_connected_from_where_and_what_they_did() {
    let mut stage = Stage::new();
    let worker = stage.worker(7, calc(2));
    let client = stage.client(9);
    stage.call(client, 1, "calc.add");
    let dispatch = stage.dispatches(worker).remove(0);
    stage.pass_with(millis(400), &[client, worker]);
    let Peers { peers: all, next: None } = peers(&mut stage, client, 2, 0) else { panic!("there is no more") };
    let [PeerStatus { role: Role::Worker, open: 1, instance, connection: Some(served), .. }, caller] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!((instance.as_str(), served.calls, served.bytes_out), ("peer-7", 1, 1));
    let from = caller.connection.as_ref().unwrap();
    assert_eq!((caller.role, caller.open, from.calls, from.age_ms), (Role::Client, 1, 2, 400));
    assert_eq!(from.address, format!("tcp://192.0.2.7:{client}"));
    assert!(from.bytes_in > 0 && served.bytes_in > 0);
    let secret = session(9).0.map(|byte| format!("{byte:02x}")).concat();
    assert!(secret.starts_with(&caller.session) && caller.session.len() == 8, "the rest is the client's secret");
    stage.answer(worker, &dispatch, &[5]);
    assert_eq!(peers(&mut stage, client, 3, 0).peers[0].open, 0);
}

#[test]
fn a_client_that_may_return_is_told_of_without_a_connection() {
    let mut stage = Stage::new();
    let (lost, client) = (stage.client(1), stage.client(2));
    stage.handle(Event::Closed { connection: lost });
    assert!(peers(&mut stage, client, 1, 0).peers[0].connection.is_none());
    stage.pass_with(seconds(3), &[client]);
    assert_eq!(peers(&mut stage, client, 2, 0).peers.len(), 1);
}

#[test]
fn an_answer_has_so_many_peers_and_says_where_to_go_on() {
    let mut stage = Stage::new();
    for number in 0..PEERS_PAGE_MAX + 44 {
        let (role, endpoint) =
            if number % 3 == 0 { (Role::Worker, Endpoint::Backend) } else { (Role::Client, Endpoint::Frontend) };
        let mut peer = hello(role, 1, 1);
        peer.session.0[..8].copy_from_slice(&(number as u64).to_be_bytes());
        stage.greet(endpoint, &peer);
    }
    let client = stage.client(200);
    let first = peers(&mut stage, client, 1, 0);
    let second = peers(&mut stage, client, 2, first.next.unwrap());
    assert_eq!((first.peers.len(), second.peers.len(), second.next), (PEERS_PAGE_MAX, 45, None));
    let ids: Vec<_> = first.peers.iter().chain(&second.peers).map(|peer| peer.id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "nobody twice");
}

#[test]
fn what_peers_is_asked_for_must_be_a_number() {
    let mut stage = Stage::new();
    let client = stage.client(1);
    let mut ask = request(1, "callboard.peers");
    ask.body = body::encode(&["all"]).unwrap();
    stage.say(client, Envelope::Request(ask));
    assert_eq!(stage.failure(client).code, Code::InvalidArgument);
}

#[test]
fn a_limit_that_a_peer_met_is_counted_for_it() {
    let mut stage = Stage::young(Settings { queue_calls_max: 1, ..Settings::default() });
    let client = stage.client(1);
    (1..=3).for_each(|number| stage.call(client, number, "calc.add"));
    assert_eq!(stage.replies(client).len(), 2);
    let met = peers(&mut stage, client, 4, 0).peers[0].connection.as_ref().unwrap().limits_hit;
    assert_eq!(met, 2);
}

#[test]
fn a_service_that_the_settings_do_not_name_may_not_be_served() {
    let mut stage = Stage::young(Settings { services: "calc, billing.*".parse().unwrap(), ..Settings::default() });
    let named = |name: &str| Register {
        offers: vec![crate::wire::handshake::Offer { service: name.to_owned(), ..calc(1) }],
        exclusive: name.starts_with("callboard."),
    };
    for (number, name) in (1..).zip(["calc", "billing.invoices", "callboard.pool.calc"]) {
        let connection = stage.greet(Endpoint::Backend, &hello(Role::Worker, number, 1));
        stage.register(connection, named(name));
        assert!(!stage.closed.contains(&connection), "{name}");
    }
    for (number, name) in (11..).zip(["billing", "calc.more", "other"]) {
        let connection = stage.greet(Endpoint::Backend, &hello(Role::Worker, number, 1));
        stage.register(connection, named(name));
        let failure = stage.sent_away(connection);
        assert_eq!(failure.code, Code::PermissionDenied);
        assert!(failure.message.contains(name) && failure.message.contains("services is calc, billing.*"), "{failure}");
    }
}

#[test]
fn a_worker_that_registers_without_end_is_sent_away() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let again = || Register { offers: vec![calc(1)], exclusive: false };
    for _ in 1..REGISTRATIONS_MAX {
        stage.register(worker, again());
    }
    assert!(stage.closed.is_empty());
    stage.pass_with(seconds(10), &[worker]);
    stage.register(worker, again());
    assert!(stage.closed.is_empty(), "by and by it may");
    for _ in 0..REGISTRATIONS_MAX {
        stage.register(worker, again());
    }
    assert_eq!(stage.sent_away(worker).code, Code::ResourceExhausted);
}

#[test]
fn a_services_figures_follow_its_workers() {
    let mut stage = Stage::new();
    let (one, two) = (stage.worker(1, calc(2)), stage.worker(2, calc(3)));
    let client = stage.client(3);
    (1..=4).for_each(|number| stage.call(client, number, "calc.add"));
    let figures = |stage: &Stage| {
        let ServiceStatus { workers, slots, running, .. } = stage.broker.service_statuses(stage.now).remove(0);
        (workers, slots, running)
    };
    assert_eq!(figures(&stage), (2, 5, 4));
    stage.handle(Event::Closed { connection: one });
    assert_eq!(figures(&stage), (1, 3, 3));
    let dispatch = stage.dispatches(two).remove(0);
    stage.answer(two, &dispatch, &[5]);
    assert_eq!(figures(&stage), (1, 3, 3), "the one that waited took its place");
}

#[test]
fn who_asks_without_end_is_given_the_same_answer_until_it_is_old_or_wrong() {
    let mut stage = Stage::new();
    stage.worker(1, calc(2));
    let client = stage.client(2);
    let ask = |stage: &mut Stage, number| {
        stage.call(client, number, "callboard.services");
        stage.replies(client).remove(0).1.unwrap()
    };
    let first = ask(&mut stage, 1);
    stage.call(client, 2, "calc.add");
    assert_eq!(ask(&mut stage, 3), first);
    stage.pass_with(millis(200), &[client]);
    let second = ask(&mut stage, 4);
    assert_ne!(second, first);
    stage.worker(3, calc(2));
    assert_ne!(ask(&mut stage, 5), second, "who comes to serve is known at once");
}
