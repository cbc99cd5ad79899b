//! Handshakes: which peers the broker admits, and which it rejects.

use bytes::Bytes;

use super::harness::{Harness, calc, hello, millis, request, seconds};
use crate::{
    auth::Nonce,
    body,
    broker::{Endpoint, Event},
    wire::{
        Envelope,
        envelope::Request,
        handshake::{Hello, Register, Role, Welcome},
        ids::{ConnectionId, ConnectionNumber, StartId},
        limits::BUNDLE_BYTES_MAX,
        status::{Code, Executed},
    },
    zmtp::Violation,
};

#[test]
fn a_peer_is_challenged_then_welcomed() {
    let mut harness = Harness::new();
    let connection = harness.handshake(Endpoint::Frontend, &hello(Role::Client, 1, 1));
    let received = harness.received(connection);
    let [Envelope::Challenge(challenge), Envelope::Welcome(welcome)] = received.as_slice() else {
        panic!("{received:?}")
    };
    assert_eq!(challenge, &Bytes::new());
    let welcome: Welcome = body::decode(welcome).unwrap();
    assert_eq!((welcome.version, welcome.start), (2, StartId([2; 16])));
    assert_eq!(welcome.frontend, "tcp://front");
}

#[test]
fn a_message_before_hello_is_rejected() {
    let mut harness = Harness::new();
    let connection = harness.open(Endpoint::Frontend);
    harness.send(connection, Envelope::Request(request(1, "calc.add")));
    assert_eq!(harness.disconnect_reason(connection).code, Code::FailedPrecondition);
}

#[test]
fn a_proof_without_a_challenge_is_rejected() {
    let mut harness = Harness::new();
    let connection = harness.open(Endpoint::Frontend);
    harness.send(connection, Envelope::Proof(Bytes::new()));
    assert_eq!(harness.disconnect_reason(connection).code, Code::FailedPrecondition);
}

#[test]
fn a_silent_unauthenticated_peer_is_disconnected_and_may_reconnect() {
    let mut harness = Harness::new();
    let connection = harness.open(Endpoint::Frontend);
    harness.advance(seconds(6));
    assert_eq!(
        harness.disconnect_reason(connection).code,
        Code::Unavailable,
        "with any other code the peer would never reconnect"
    );
}

#[test]
fn an_unsupported_version_is_rejected_with_the_supported_range() {
    let mut harness = Harness::new();
    let mut future = hello(Role::Client, 1, 1);
    future.versions = (3, 9);
    let connection = harness.handshake(Endpoint::Frontend, &future);
    let failure = harness.disconnect_reason(connection);
    assert_eq!(failure.code, Code::FailedPrecondition);
    let expected = "this broker supports version 2 of the protocol, and this program versions 3 to 9: update the older";
    assert!(failure.message.contains(expected), "{failure}");
}

#[test]
fn a_peer_of_version_1_is_rejected_with_both_versions() {
    let mut harness = Harness::new();
    let old = Hello { versions: (1, 1), ..hello(Role::Client, 1, 1) };
    let connection = harness.handshake(Endpoint::Frontend, &old);
    let failure = harness.disconnect_reason(connection);
    assert_eq!(failure.code, Code::FailedPrecondition);
    assert_eq!(
        failure.message,
        "this broker supports version 2 of the protocol, and this program version 1: update the older of the two"
    );
}

#[test]
fn a_peer_at_the_wrong_endpoint_is_rejected_with_the_right_address() {
    let mut harness = Harness::new();
    let worker = harness.handshake(Endpoint::Frontend, &hello(Role::Worker, 1, 1));
    assert!(harness.disconnect_reason(worker).message.contains("tcp://back"));
    let client = harness.handshake(Endpoint::Backend, &hello(Role::Client, 2, 1));
    assert!(harness.disconnect_reason(client).message.contains("tcp://front"));
}

#[test]
fn a_malformed_hello_is_rejected() {
    let mut harness = Harness::new();
    let connection = harness.open(Endpoint::Frontend);
    harness.send(connection, Envelope::Hello(Bytes::from_static(&[0xa0])));
    assert_eq!(harness.disconnect_reason(connection).code, Code::InvalidArgument);
    let mut no_heartbeat = hello(Role::Client, 1, 1);
    no_heartbeat.heartbeat_ms = 0;
    let connection = harness.handshake(Endpoint::Frontend, &no_heartbeat);
    assert_eq!(harness.disconnect_reason(connection).code, Code::InvalidArgument);
}

#[test]
fn a_new_connection_replaces_the_old_one_of_its_session() {
    let mut harness = Harness::new();
    let first = harness.client(1);
    let second = harness.reconnect_client(1, 2);
    assert!(harness.closed.contains(&first), "the old connection is closed");
    let late = harness.handshake(Endpoint::Frontend, &hello(Role::Client, 1, 2));
    assert_eq!(harness.disconnect_reason(late).code, Code::FailedPrecondition);
    harness.call(second, 1, "callboard.ping");
    assert_eq!(harness.replies(second).len(), 1);
}

#[test]
fn a_session_cannot_change_its_role() {
    let mut harness = Harness::new();
    harness.client(1);
    let connection = harness.handshake(Endpoint::Backend, &hello(Role::Worker, 1, 2));
    assert_eq!(harness.disconnect_reason(connection).code, Code::FailedPrecondition);
}

#[test]
fn a_reconnected_worker_replaces_its_old_connection() {
    let mut harness = Harness::new();
    let old = harness.worker(1, calc(1));
    let mut again = hello(Role::Worker, 1, 1);
    again.connection = ConnectionNumber(2);
    let new = harness.handshake(Endpoint::Backend, &again);
    harness.register(new, Register { offers: vec![calc(1)], ..Register::default() });
    assert!(harness.closed.contains(&old));
    let client = harness.client(2);
    harness.call(client, 1, "calc.add");
    assert_eq!(harness.dispatches(new).len(), 1);
}

#[test]
fn a_malformed_registration_is_rejected() {
    let mut harness = Harness::new();
    for damage in [
        |offer: &mut crate::wire::handshake::Offer| offer.service = "no service".to_owned(),
        |offer: &mut crate::wire::handshake::Offer| offer.slots = 0,
        |offer: &mut crate::wire::handshake::Offer| offer.methods[0].name = "a.b".to_owned(),
    ] {
        let mut offer = calc(1);
        damage(&mut offer);
        let connection = harness.worker(1, offer);
        assert_eq!(harness.disconnect_reason(connection).code, Code::InvalidArgument);
    }
}

#[test]
fn a_reserved_service_name_is_rejected() {
    let mut harness = Harness::new();
    let mut offer = calc(1);
    offer.service = "callboard".to_owned();
    let connection = harness.worker(1, offer);
    assert_eq!(harness.disconnect_reason(connection).code, Code::PermissionDenied);
}

#[test]
fn two_pools_cannot_have_the_same_name() {
    let mut harness = Harness::new();
    let mut offer = calc(1);
    offer.service = "callboard.pool.calc".to_owned();
    let pool = Register { offers: vec![offer], exclusive: true, ..Register::default() };
    let first = harness.handshake(Endpoint::Backend, &hello(Role::Worker, 1, 1));
    harness.register(first, pool.clone());
    let second = harness.handshake(Endpoint::Backend, &hello(Role::Worker, 2, 1));
    harness.register(second, pool.clone());
    let failure = harness.disconnect_reason(second);
    assert_eq!(failure.code, Code::FailedPrecondition);
    assert!(failure.message.contains("calc is in use"), "{failure}");
    harness.handle(crate::broker::Event::Closed { connection: first });
    let third = harness.handshake(Endpoint::Backend, &hello(Role::Worker, 3, 1));
    harness.register(third, pool);
    assert!(!harness.closed.contains(&third), "the name is free after its pool disconnects");
}

#[test]
fn an_unexpected_message_closes_the_connection() {
    let mut harness = Harness::new();
    let client = harness.client(1);
    harness.send(client, Envelope::Drain);
    assert_eq!(harness.disconnect_reason(client).code, Code::FailedPrecondition);
    let worker = harness.worker(2, calc(1));
    harness.send(worker, Envelope::Hello(Bytes::new()));
    assert_eq!(harness.disconnect_reason(worker).code, Code::FailedPrecondition);
}

#[test]
fn the_handshake_timeout_starts_when_the_connection_opens() {
    let mut harness = Harness::new();
    let connection = ConnectionId(1);
    let until = harness.now + millis(300);
    harness.handle(Event::Opened {
        connection,
        endpoint: Endpoint::Frontend,
        address: "tcp://192.0.2.7:1".into(),
        rate_limit_key: "192.0.2.7".into(),
        channel: None,
        nonce: Nonce([9; 32]),
        until,
    });
    harness.send(connection, Envelope::Hello(body::encode(&hello(Role::Client, 1, 1)).unwrap()));
    harness.advance(millis(200));
    assert!(!harness.closed.contains(&connection), "a hello does not change the handshake timeout");
    harness.advance(millis(200));
    assert_eq!(harness.disconnect_reason(connection).code, Code::Unavailable);
}

#[test]
fn a_transport_violation_closes_the_connection_with_its_reason() {
    let mut harness = Harness::new();
    let too_large = Violation::MessageTooLarge { bytes: 1 << 40, max: 100 };
    let (client, worker, unauthenticated) =
        (harness.client(1), harness.worker(2, calc(1)), harness.open(Endpoint::Frontend));
    for (connection, violation, code) in [
        (client, too_large, Code::ResourceExhausted),
        (worker, Violation::Flags { flags: 0x80 }, Code::InvalidArgument),
        (unauthenticated, Violation::MalformedCommand, Code::InvalidArgument),
    ] {
        harness.handle(Event::ProtocolViolation { connection, violation });
        let reason = harness.disconnect_reason(connection);
        assert_eq!((reason.code, reason.message.to_string()), (code, violation.to_string()));
        harness.closed.clear();
        harness.handle(Event::ProtocolViolation { connection, violation });
        assert_eq!(harness.closed, [connection], "the broker also closes a connection that it has already removed");
        assert!(harness.received(connection).is_empty());
    }
}

#[test]
fn a_message_above_the_size_limit_of_a_peer_is_not_sent() {
    static LARGE: [u8; 2 * BUNDLE_BYTES_MAX] = [0; _];
    let mut harness = Harness::new();
    let small = |role, number| Hello { message_bytes_max: Some(BUNDLE_BYTES_MAX as u64), ..hello(role, number, 1) };
    let (worker, client) = (harness.worker(1, calc(4)), harness.handshake(Endpoint::Frontend, &small(Role::Client, 2)));
    harness.received(client);
    harness.call(client, 1, "calc.add");
    let dispatch = harness.dispatches(worker).remove(0);
    harness.reply(worker, &dispatch, &LARGE);
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::ResourceExhausted, Executed::Yes), "{failure}");
    harness.handle(Event::Closed { connection: worker });
    let worker = harness.handshake(Endpoint::Backend, &small(Role::Worker, 3));
    harness.register(worker, Register { offers: vec![calc(4)], ..Register::default() });
    let client = harness.client(4);
    harness.send(client, Envelope::Request(Request { body: Bytes::from_static(&LARGE), ..request(1, "calc.add") }));
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::ResourceExhausted, Executed::No), "{failure}");
    harness.call(client, 2, "calc.add");
    assert_eq!(harness.dispatches(worker).len(), 1);
}
