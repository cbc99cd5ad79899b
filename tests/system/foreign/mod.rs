//! Peers written from docs/PROTOCOL.md alone, without Callboard's code. They show that the specification is sufficient.

mod cbor;
mod peer;
mod proof;
mod zmtp;

use self::{
    cbor::Cbor,
    peer::{Envelope, Peer, array, map, text},
};
use crate::harness::{Broker, Process, write_private};

/// Kinds and keys, with the numbers of sections 2.2 and 2.3.
const REGISTER: u64 = 4;
const REQUEST: u64 = 5;
const REPLY: u64 = 7;
const CANCEL: u64 = 12;
const WELCOME: u64 = 3;
const DRAIN: u64 = 15;
const GOODBYE: u64 = 16;
const PING: u64 = 17;
const PONG: u64 = 18;
const KEY_NUMBER: u64 = 1;
const KEY_METHOD: u64 = 2;
const KEY_TIMEOUT: u64 = 3;
const KEY_FLAGS: u64 = 5;
const KEY_CODE: u64 = 7;
const KEY_EXECUTED: u64 = 8;
const KEY_TYPE: u64 = 9;
const KEY_MESSAGE: u64 = 10;
/// Status codes, with gRPC's numbers.
const UNAUTHENTICATED: u64 = 16;
const INVALID_ARGUMENT: u64 = 3;
const OUT_OF_RANGE: u64 = 11;
const FAILED_PRECONDITION: u64 = 9;
const UNIMPLEMENTED: u64 = 12;

/// Registers a foreign worker for `foreign.add` and `foreign.wait`. The test answers its calls.
fn worker(broker: &Broker) -> Peer {
    let mut worker = Peer::join(&broker.backend, "worker");
    let method = |name: &str| {
        map([("name", text(name)), ("effect", text("read")), ("arguments", array([text("x"), text("y")]))])
    };
    let offer = map([
        ("service", text("foreign")),
        ("slots", Cbor::Uint(4)),
        ("free", Cbor::Uint(4)),
        ("methods", array([method("add"), method("wait")])),
    ]);
    worker.send(&[(0, Cbor::Uint(REGISTER))], &map([("offers", array([offer]))]).encoded());
    broker.wait_for_service("foreign");
    worker
}

fn call(number: u64, method: &str) -> Vec<(u64, Cbor)> {
    vec![(0, Cbor::Uint(REQUEST)), (KEY_NUMBER, Cbor::Uint(number)), (KEY_METHOD, text(method))]
}

fn reply(number: u64) -> Vec<(u64, Cbor)> {
    vec![(0, Cbor::Uint(REPLY)), (KEY_NUMBER, Cbor::Uint(number))]
}

fn pair(x: u64, y: u64) -> Vec<u8> {
    array([Cbor::Uint(x), Cbor::Uint(y)]).encoded()
}

/// Returns the sum of the array of integers in a body.
fn sum(body: &[u8]) -> u64 {
    let Cbor::Array(items) = Cbor::decoded(body) else { panic!("not an array: {body:?}") };
    items.iter().map(Cbor::uint).sum()
}

#[test]
fn a_foreign_worker_serves_the_command() {
    let broker = Broker::start();
    let mut worker = worker(&broker);
    let mut command = Process::start(broker.command_line(&["call", "foreign.add", "2", "3", "--timeout", "50s"]));
    let dispatch = worker.receive();
    assert_eq!((dispatch.kind(), dispatch.text(KEY_METHOD)), (REQUEST, "foreign.add"));
    assert!((1..=50_000).contains(&dispatch.uint(KEY_TIMEOUT)));
    worker.send(&reply(dispatch.uint(KEY_NUMBER)), &Cbor::Uint(sum(&dispatch.body)).encoded());
    assert_eq!((command.exit_code(), command.stdout.all().as_str()), (0, "5"));
}

#[test]
fn a_foreign_workers_error_reaches_the_command_unchanged() {
    let broker = Broker::start();
    let mut worker = worker(&broker);
    let mut command = Process::start(broker.command_line(&["call", "foreign.add", "2", "3"]));
    let number = worker.receive().uint(KEY_NUMBER);
    let failure = [
        (KEY_CODE, Cbor::Uint(OUT_OF_RANGE)),
        (KEY_EXECUTED, Cbor::Uint(1)),
        (KEY_TYPE, text("TooMuch")),
        (KEY_MESSAGE, text("more than I can count")),
    ];
    worker.send(&[&reply(number)[..], &failure].concat(), &map([("most", Cbor::Uint(4))]).encoded());
    assert_eq!(command.exit_code(), 1);
    let stderr = command.stderr.all();
    let begins = "error: OUT_OF_RANGE TooMuch: more than I can count (executed: yes, attempt 1";
    assert!(stderr.starts_with(begins) && stderr.ends_with("details: {\"most\":4}"), "{stderr}");
}

#[test]
fn a_foreign_client_calls_a_worker_of_the_library_in_either_form_of_a_bundle() {
    let broker = Broker::start();
    let _worker = broker.worker("calculator-worker", "calculator");
    let mut client = Peer::join(&broker.frontend, "client");
    client.send(&call(1, "calculator.add"), &pair(2, 3));
    let first = client.receive();
    assert_eq!((first.kind(), first.uint(KEY_NUMBER), Cbor::decoded(&first.body)), (REPLY, 1, Cbor::Uint(5)));
    let bundle = (2..=9).map(|number| Envelope::new(&call(number, "calculator.add"), pair(number, 10)));
    client.send_bundle(bundle.collect());
    for number in 2..=9 {
        let answer = client.receive();
        assert_eq!((answer.uint(KEY_NUMBER), Cbor::decoded(&answer.body)), (number, Cbor::Uint(number + 10)));
    }
    client.send(&call(10, "calculator.add"), &array([text("two"), Cbor::Uint(3)]).encoded());
    let refused = client.receive();
    let status = (refused.uint(KEY_CODE), refused.uint(KEY_EXECUTED), refused.text(KEY_TYPE));
    assert_eq!(status, (INVALID_ARGUMENT, 0, "ArgumentError"));
}

#[test]
fn foreign_peers_call_each_other_and_disconnect_in_order() {
    let broker = Broker::start();
    let (mut worker, mut client) = (worker(&broker), Peer::join(&broker.frontend, "client"));
    // A cast runs and gets no answer, so the first answer belongs to the call after it.
    client.send(&[&call(1, "foreign.add")[..], &[(KEY_FLAGS, Cbor::Uint(1))]].concat(), &pair(1, 1));
    client.send(&call(2, "foreign.add"), &pair(20, 3));
    for expected in [2, 23] {
        let dispatch = worker.receive();
        assert_eq!(sum(&dispatch.body), expected);
        worker.send(&reply(dispatch.uint(KEY_NUMBER)), &Cbor::Uint(expected).encoded());
    }
    let answer = client.receive();
    assert_eq!((answer.uint(KEY_NUMBER), Cbor::decoded(&answer.body)), (2, Cbor::Uint(23)));
    // The worker receives a cancel of the dispatch.
    client.send(&call(3, "foreign.wait"), &pair(0, 0));
    let running = worker.receive().uint(KEY_NUMBER);
    client.send(&[(0, Cbor::Uint(CANCEL)), (KEY_NUMBER, Cbor::Uint(3))], &[]);
    let cancel = worker.receive();
    assert_eq!((cancel.kind(), cancel.uint(KEY_NUMBER)), (CANCEL, running));
    worker.send(&reply(running), &Cbor::Uint(0).encoded());
    client.send(&[(0, Cbor::Uint(PING)), (KEY_NUMBER, Cbor::Uint(7))], &[]);
    let pong = client.receive();
    assert_eq!((pong.kind(), pong.uint(KEY_NUMBER)), (PONG, 7));
    worker.send(&[(0, Cbor::Uint(DRAIN))], &[]);
    for peer in [&mut worker, &mut client] {
        peer.send(&[(0, Cbor::Uint(GOODBYE))], &[]);
        assert_eq!(peer.receive().kind(), GOODBYE);
    }
}

#[test]
fn a_peer_of_another_version_or_at_the_wrong_endpoint_is_rejected_with_a_reason() {
    let broker = Broker::start();
    let mut future = Peer::connect(&broker.frontend);
    future.hello("client", [77, 78]);
    sent_away(future.receive(), "version 2 of the protocol");
    let mut past = Peer::connect(&broker.frontend);
    past.hello("client", [1, 1]);
    sent_away(past.receive(), "this program version 1: update the older of the two");
    let mut lost = Peer::connect(&broker.frontend);
    lost.hello("worker", [2, 2]);
    sent_away(lost.receive(), &broker.backend);
}

fn sent_away(goodbye: Envelope, with_words: &str) {
    assert_eq!((goodbye.kind(), goodbye.uint(KEY_CODE)), (GOODBYE, FAILED_PRECONDITION));
    assert!(goodbye.text(KEY_MESSAGE).contains(with_words), "{goodbye:?}");
}

#[test]
fn an_invalid_envelope_affects_neither_its_bundle_nor_another_peer() {
    let broker = Broker::start();
    let _worker = broker.worker("calculator-worker", "calculator");
    let mut client = Peer::join(&broker.frontend, "client");
    let unknown_key = [&call(1, "calculator.add")[..], &[(63, Cbor::Uint(1))]].concat();
    let good = Envelope::new(&call(2, "calculator.add"), pair(2, 2));
    client.send_bundle(vec![Envelope::new(&unknown_key, pair(1, 1)), good]);
    let (refused, answer) = (client.receive(), client.receive());
    assert_eq!((refused.uint(KEY_NUMBER), refused.uint(KEY_CODE)), (1, UNIMPLEMENTED));
    assert_eq!((answer.uint(KEY_NUMBER), Cbor::decoded(&answer.body)), (2, Cbor::Uint(4)));
    // Bytes of another protocol: the broker closes the connection of their sender, and no other.
    Peer::babble(&broker.frontend);
    Peer::babble(&broker.backend);
    client.send(&call(3, "calculator.add"), &pair(3, 3));
    assert_eq!(Cbor::decoded(&client.receive().body), Cbor::Uint(6));
}

#[test]
fn a_peer_with_zmtp_heartbeats_gets_pongs_and_stays_connected() {
    let broker = Broker::start();
    let _worker = broker.worker("calculator-worker", "calculator");
    let mut client = Peer::join(&broker.frontend, "client");
    for (number, context) in (1..).zip([&b""[..], b"x", b"sixteen bytes at", b"again"]) {
        client.heartbeat(context);
        client.send(&call(number, "calculator.add"), &pair(number, 1));
        assert_eq!(Cbor::decoded(&client.receive().body), Cbor::Uint(number + 1));
    }
}

#[test]
fn a_foreign_client_with_a_key_is_accepted_and_the_broker_proves_the_key_too() {
    let (key, keys) = ("a key for the tests alone", tempfile::tempdir().unwrap());
    let path = keys.path().join("authkey");
    write_private(&path, key);
    let broker = Broker::start_with(&[
        "--frontend",
        "tcp://127.0.0.1:0",
        "--backend",
        "tcp://127.0.0.1:0",
        "--authkey-file",
        path.to_str().unwrap(),
    ]);
    let (mut client, welcome, expected) = proof::prove(&broker.frontend, "client", key.as_bytes(), 201);
    assert_eq!(welcome.kind(), WELCOME, "{welcome:?}");
    assert!(expected.is_in(&welcome.body), "{welcome:?}");
    client.send(&call(1, "callboard.ping"), &array([]).encoded());
    let pong = client.receive();
    assert_eq!((pong.kind(), Cbor::decoded(&pong.body)), (REPLY, Cbor::Null));
    let (_unauthenticated, goodbye, _) = proof::prove(&broker.frontend, "client", b"a key of another broker", 202);
    assert_eq!((goodbye.kind(), goodbye.uint(KEY_CODE)), (GOODBYE, UNAUTHENTICATED));
}
