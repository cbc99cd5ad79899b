//! What somebody on the wire reads, and what happens if they change it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::harness::{Broker, Finished, Keys, Process, Relay, any_port, callboard, example, write_private};

/// Texts of a call that an observer looks for: the service, the method, an argument, and an argument that comes back as the result.
const TEXTS: [&str; 4] = ["kvs", "get", "the-name-of-the-patient", "the-diagnosis"];

/// `calculator.add(2, 3)` and `calculator.add(7, 3)`, as the end of a request on the wire.
const TWO_AND_THREE: [u8; 3] = [0x82, 0x02, 0x03];
const SEVEN_AND_THREE: [u8; 3] = [0x82, 0x07, 0x03];

fn change(bytes: &mut [u8], from: &[u8], to: &[u8]) -> bool {
    let place = bytes.windows(from.len()).position(|seen| seen == from);
    place.map(|at| bytes[at..at + from.len()].copy_from_slice(to)).is_some()
}

/// Stores a text and reads it back, through relays on both sides of a broker.
fn store_and_read(frontend: &str, call: impl Fn(&str, &[&str]) -> Finished) {
    let quoted = |text: &str| format!("{text:?}");
    let [_, _, name, value] = TEXTS.map(quoted);
    call(frontend, &["call", "kvs.put", &name, &value]).printed();
    assert_eq!(call(frontend, &["call", "kvs.get", &name]).printed(), value);
}

#[test]
fn an_encrypted_connection_shows_no_name_no_argument_and_no_result() {
    let keys = Keys::new();
    let broker = keys.broker();
    let (frontend, backend) = (Relay::start(&broker.frontend), Relay::start(&broker.backend));
    let _worker = keys.worker(&broker, &backend.address, "kvs-worker", "kvs");
    store_and_read(&frontend.address, |at, words| keys.command_at(at, words));
    for text in TEXTS {
        assert!(!frontend.has_seen(text.as_bytes()), "the frontend's wire shows {text}");
        assert!(!backend.has_seen(text.as_bytes()), "the backend's wire shows {text}");
    }
    assert!(frontend.has_seen(b"CURVE") && backend.has_seen(b"CURVE"));
}

#[test]
fn a_plain_connection_shows_them_all() {
    let broker = Broker::start();
    let (frontend, backend) = (Relay::start(&broker.frontend), Relay::start(&broker.backend));
    let mut worker = example("kvs-worker");
    worker.env("CALLBOARD_BACKEND", &backend.address);
    let _worker = Process::start(worker);
    broker.wait_for_service("kvs");
    store_and_read(&frontend.address, |at, words| {
        let mut command = callboard();
        command.args(words).env("CALLBOARD_FRONTEND", at);
        Finished::of(command)
    });
    for text in TEXTS {
        assert!(frontend.has_seen(text.as_bytes()) && backend.has_seen(text.as_bytes()), "the wire shows {text}");
    }
}

#[test]
fn a_relay_changes_the_arguments_of_a_plain_call() {
    let broker = Broker::start();
    let _worker = broker.worker("calculator-worker", "calculator");
    let relay = Relay::with_change(&broker.frontend, |bytes| {
        change(bytes, &TWO_AND_THREE, &SEVEN_AND_THREE);
    });
    let mut command = callboard();
    command.args(["call", "calculator.add", "2", "3"]).env("CALLBOARD_FRONTEND", &relay.address);
    assert_eq!(Finished::of(command).printed(), "10", "without encryption the attack succeeds");
}

/// A relay that announces another address for clients than the broker does, so that it gets the calls of workers, too.
fn redirecting_relay(broker: &Broker) -> Relay {
    let (real, mut false_one) = (broker.frontend.clone().into_bytes(), broker.frontend.clone().into_bytes());
    let last = false_one.last_mut().unwrap();
    *last = if *last == b'1' { b'2' } else { b'1' };
    Relay::with_change(&broker.frontend, move |bytes| {
        change(bytes, &real, &false_one);
    })
}

#[test]
fn a_relay_that_changes_the_welcome_is_not_believed_where_an_authkey_is_proved() {
    let keys = Keys::new();
    let ping = |relay: &Relay, flags: &[&str]| {
        let mut ping = callboard();
        ping.args(["ping", "--timeout", "5s"]).args(flags).env("CALLBOARD_FRONTEND", &relay.address);
        Finished::of(ping)
    };
    let open = Broker::start();
    ping(&redirecting_relay(&open), &[]).printed();
    write_private(&keys.path("authkey"), "0123456789abcdef\n");
    let (port, file) = (any_port(), keys.file("authkey"));
    let broker = Broker::start_with(&["--frontend", &port, "--backend", &port, "--authkey-file", &file]);
    ping(&Relay::start(&broker.frontend), &["--authkey-file", &file]).printed();
    let error = ping(&redirecting_relay(&broker), &["--authkey-file", &file]);
    assert_ne!(error.code, 0, "the client believes the relay");
    assert!(error.stderr.contains("proof") || error.stderr.contains("key"), "{error:?}");
}

#[test]
fn a_relay_that_changes_an_encrypted_call_ends_the_connection_and_nothing_else() {
    let keys = Keys::new();
    let broker = keys.broker();
    let _worker = keys.worker(&broker, &broker.backend, "calculator-worker", "calculator");
    let armed = Arc::new(AtomicBool::new(false));
    let is_armed = Arc::clone(&armed);
    // The last byte of what a peer sends belongs to a sealed message, once the handshake is complete.
    let relay = Relay::with_change(&broker.frontend, move |bytes| {
        if is_armed.load(Ordering::Relaxed)
            && bytes.windows(8).any(|seen| seen == b"\x07MESSAGE")
            && let Some(last) = bytes.last_mut()
        {
            *last ^= 1;
        }
    });
    assert_eq!(keys.command_at(&relay.address, &["call", "calculator.add", "2", "3"]).printed(), "5");
    armed.store(true, Ordering::Relaxed);
    let error = keys.command_at(&relay.address, &["call", "calculator.add", "2", "3", "--timeout", "2s"]).failed(3);
    assert!(!error.contains("10"), "{error}");
    assert_eq!(keys.command(&broker, &["call", "calculator.add", "2", "3"]).printed(), "5", "others notice nothing");
}
