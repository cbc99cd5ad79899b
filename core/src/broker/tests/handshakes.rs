//! Who is let in, and who is sent away.

use bytes::Bytes;

use super::stage::{Stage, calc, hello, millis, request, seconds};
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
    let mut stage = Stage::new();
    let connection = stage.greet(Endpoint::Frontend, &hello(Role::Client, 1, 1));
    let heard = stage.heard(connection);
    let [Envelope::Challenge(challenge), Envelope::Welcome(welcome)] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!(challenge, &Bytes::new());
    let welcome: Welcome = body::decode(welcome).unwrap();
    assert_eq!((welcome.version, welcome.start), (1, StartId([2; 16])));
    assert_eq!(welcome.frontend, "tcp://front");
}

#[test]
fn nothing_is_accepted_before_hello() {
    let mut stage = Stage::new();
    let connection = stage.open(Endpoint::Frontend);
    stage.say(connection, Envelope::Request(request(1, "calc.add")));
    assert_eq!(stage.sent_away(connection).code, Code::FailedPrecondition);
}

#[test]
fn a_proof_needs_a_challenge() {
    let mut stage = Stage::new();
    let connection = stage.open(Endpoint::Frontend);
    stage.say(connection, Envelope::Proof(Bytes::new()));
    assert_eq!(stage.sent_away(connection).code, Code::FailedPrecondition);
}

#[test]
fn a_silent_newcomer_is_sent_away_and_may_come_again() {
    let mut stage = Stage::new();
    let connection = stage.open(Endpoint::Frontend);
    stage.pass(seconds(6));
    assert_eq!(stage.sent_away(connection).code, Code::Unavailable, "any other code would keep it away for ever");
}

#[test]
fn a_version_that_is_not_spoken_is_refused_with_the_range() {
    let mut stage = Stage::new();
    let mut future = hello(Role::Client, 1, 1);
    future.versions = (2, 9);
    let connection = stage.greet(Endpoint::Frontend, &future);
    let failure = stage.sent_away(connection);
    assert_eq!(failure.code, Code::FailedPrecondition);
    assert!(failure.message.contains("versions 1 to 1"), "{failure}");
}

#[test]
fn a_peer_at_the_wrong_door_is_told_the_right_one() {
    let mut stage = Stage::new();
    let worker = stage.greet(Endpoint::Frontend, &hello(Role::Worker, 1, 1));
    assert!(stage.sent_away(worker).message.contains("tcp://back"));
    let client = stage.greet(Endpoint::Backend, &hello(Role::Client, 2, 1));
    assert!(stage.sent_away(client).message.contains("tcp://front"));
}

#[test]
fn a_hello_of_wrong_form_is_refused() {
    let mut stage = Stage::new();
    let connection = stage.open(Endpoint::Frontend);
    stage.say(connection, Envelope::Hello(Bytes::from_static(&[0xa0])));
    assert_eq!(stage.sent_away(connection).code, Code::InvalidArgument);
    let mut restless = hello(Role::Client, 1, 1);
    restless.heartbeat_ms = 0;
    let connection = stage.greet(Endpoint::Frontend, &restless);
    assert_eq!(stage.sent_away(connection).code, Code::InvalidArgument);
}

#[test]
fn a_session_belongs_to_its_latest_connection() {
    let mut stage = Stage::new();
    let first = stage.client(1);
    let second = stage.client_again(1, 2);
    assert!(stage.closed.contains(&first), "the old connection is closed");
    let late = stage.greet(Endpoint::Frontend, &hello(Role::Client, 1, 2));
    assert_eq!(stage.sent_away(late).code, Code::FailedPrecondition);
    stage.call(second, 1, "callboard.ping");
    assert_eq!(stage.replies(second).len(), 1);
}

#[test]
fn a_session_keeps_its_role() {
    let mut stage = Stage::new();
    stage.client(1);
    let connection = stage.greet(Endpoint::Backend, &hello(Role::Worker, 1, 2));
    assert_eq!(stage.sent_away(connection).code, Code::FailedPrecondition);
}

#[test]
fn a_worker_that_comes_again_replaces_itself() {
    let mut stage = Stage::new();
    let old = stage.worker(1, calc(1));
    let mut again = hello(Role::Worker, 1, 1);
    again.connection = ConnectionNumber(2);
    let new = stage.greet(Endpoint::Backend, &again);
    stage.register(new, Register { offers: vec![calc(1)], exclusive: false });
    assert!(stage.closed.contains(&old));
    let client = stage.client(2);
    stage.call(client, 1, "calc.add");
    assert_eq!(stage.dispatches(new).len(), 1);
}

#[test]
fn a_registration_of_wrong_form_is_refused() {
    let mut stage = Stage::new();
    for spoil in [
        |offer: &mut crate::wire::handshake::Offer| offer.service = "no service".to_owned(),
        |offer: &mut crate::wire::handshake::Offer| offer.slots = 0,
        |offer: &mut crate::wire::handshake::Offer| offer.methods[0].name = "a.b".to_owned(),
    ] {
        let mut offer = calc(1);
        spoil(&mut offer);
        let connection = stage.worker(1, offer);
        assert_eq!(stage.sent_away(connection).code, Code::InvalidArgument);
    }
}

#[test]
fn the_brokers_own_names_are_its_own() {
    let mut stage = Stage::new();
    let mut offer = calc(1);
    offer.service = "callboard".to_owned();
    let connection = stage.worker(1, offer);
    assert_eq!(stage.sent_away(connection).code, Code::PermissionDenied);
}

#[test]
fn a_pools_name_is_taken_once() {
    let mut stage = Stage::new();
    let mut offer = calc(1);
    offer.service = "callboard.pool.calc".to_owned();
    let pool = Register { offers: vec![offer], exclusive: true };
    let first = stage.greet(Endpoint::Backend, &hello(Role::Worker, 1, 1));
    stage.register(first, pool.clone());
    let second = stage.greet(Endpoint::Backend, &hello(Role::Worker, 2, 1));
    stage.register(second, pool.clone());
    let failure = stage.sent_away(second);
    assert_eq!(failure.code, Code::FailedPrecondition);
    assert!(failure.message.contains("calc is in use"), "{failure}");
    stage.handle(crate::broker::Event::Closed { connection: first });
    let third = stage.greet(Endpoint::Backend, &hello(Role::Worker, 3, 1));
    stage.register(third, pool);
    assert!(!stage.closed.contains(&third), "the name is free again");
}

#[test]
fn a_word_out_of_place_ends_the_connection() {
    let mut stage = Stage::new();
    let client = stage.client(1);
    stage.say(client, Envelope::Drain);
    assert_eq!(stage.sent_away(client).code, Code::FailedPrecondition);
    let worker = stage.worker(2, calc(1));
    stage.say(worker, Envelope::Hello(Bytes::new()));
    assert_eq!(stage.sent_away(worker).code, Code::FailedPrecondition);
}

#[test]
fn a_handshakes_time_counts_from_when_its_connection_came() {
    let mut stage = Stage::new();
    let connection = ConnectionId(1);
    let until = stage.now + millis(300);
    stage.handle(Event::Opened {
        connection,
        endpoint: Endpoint::Frontend,
        address: "tcp://192.0.2.7:1".into(),
        rate_limit_key: "192.0.2.7".into(),
        nonce: Nonce([9; 32]),
        until,
    });
    stage.say(connection, Envelope::Hello(body::encode(&hello(Role::Client, 1, 1)).unwrap()));
    stage.pass(millis(200));
    assert!(!stage.closed.contains(&connection), "a hello gives no more time, and takes none");
    stage.pass(millis(200));
    assert_eq!(stage.sent_away(connection).code, Code::Unavailable);
}

#[test]
fn who_breaks_the_transport_is_told_why_and_sent_away() {
    let mut stage = Stage::new();
    let too_large = Violation::MessageTooLarge { bytes: 1 << 40, max: 100 };
    let (client, worker, newcomer) = (stage.client(1), stage.worker(2, calc(1)), stage.open(Endpoint::Frontend));
    for (connection, violation, code) in [
        (client, too_large, Code::ResourceExhausted),
        (worker, Violation::Flags { flags: 0x80 }, Code::InvalidArgument),
        (newcomer, Violation::MalformedCommand, Code::InvalidArgument),
    ] {
        stage.handle(Event::ProtocolViolation { connection, violation });
        let told = stage.sent_away(connection);
        assert_eq!((told.code, told.message.to_string()), (code, violation.to_string()));
        stage.closed.clear();
        stage.handle(Event::ProtocolViolation { connection, violation });
        assert_eq!(stage.closed, [connection], "one that is gone already is closed all the same");
        assert!(stage.heard(connection).is_empty());
    }
}

#[test]
fn what_is_too_large_for_a_peer_by_its_own_word_is_not_sent_to_it() {
    static LARGE: [u8; 2 * BUNDLE_BYTES_MAX] = [0; _];
    let mut stage = Stage::new();
    let small = |role, number| Hello { message_bytes_max: Some(BUNDLE_BYTES_MAX as u64), ..hello(role, number, 1) };
    let (worker, client) = (stage.worker(1, calc(4)), stage.greet(Endpoint::Frontend, &small(Role::Client, 2)));
    stage.heard(client);
    stage.call(client, 1, "calc.add");
    let dispatch = stage.dispatches(worker).remove(0);
    stage.answer(worker, &dispatch, &LARGE);
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::ResourceExhausted, Executed::Yes), "{failure}");
    stage.handle(Event::Closed { connection: worker });
    let worker = stage.greet(Endpoint::Backend, &small(Role::Worker, 3));
    stage.register(worker, Register { offers: vec![calc(4)], exclusive: false });
    let client = stage.client(4);
    stage.say(client, Envelope::Request(Request { body: Bytes::from_static(&LARGE), ..request(1, "calc.add") }));
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::ResourceExhausted, Executed::No), "{failure}");
    stage.call(client, 2, "calc.add");
    assert_eq!(stage.dispatches(worker).len(), 1);
}
