//! Programs started by hand, without a log: each problem is an error on stderr, no program waits silently, and each has help.

use crate::harness::{Broker, Finished, Process, example, unused_address};

#[test]
fn a_worker_with_an_invalid_broker_address_ends_at_once_with_an_error() {
    let mut command = example("calculator-worker");
    command.env("CALLBOARD_BACKEND", "bogus");
    let mut worker = Process::start(command);
    assert_eq!(worker.exit_code(), 1);
    let stderr = worker.stderr.all();
    assert!(stderr.starts_with("error: cannot connect to `bogus`") && stderr.contains("tcp://HOST:PORT"), "{stderr}");
}

#[test]
fn a_worker_without_a_broker_reports_it_once_also_without_a_log() {
    let nowhere = unused_address();
    let mut command = example("calculator-worker");
    command.env("CALLBOARD_BACKEND", &nowhere);
    let worker = Process::start(command);
    let stderr = worker.stderr.wait_for("not connected to a broker");
    assert!(stderr.contains(&nowhere) && stderr.contains("start a broker there"), "{stderr}");
}

#[test]
fn a_client_without_a_broker_ends_with_an_error() {
    let mut command = example("calculator-client");
    command.arg("bogus");
    let mut client = Process::start(command);
    assert_eq!(client.exit_code(), 1);
    let stderr = client.stderr.all();
    assert!(stderr.starts_with("error: cannot connect to `bogus`"), "{stderr}");
}

#[test]
fn a_worker_that_was_started_by_hand_prints_when_it_is_ready() {
    let broker = Broker::start();
    let worker = broker.worker("calculator-worker", "calculator");
    let line = worker.stderr.wait_for("ready");
    assert_eq!(line, format!("callboard: ready, serving calculator at {}", broker.backend));
}

#[test]
fn every_example_has_help_and_rejects_unknown_flags() {
    let names = [
        "calculator-worker",
        "calculator-client",
        "kvs-worker",
        "kvs-client",
        "users-worker",
        "users-client",
        "pool-worker",
        "pool-client",
        "peers-umpire",
        "peers-player",
        "position-worker",
        "position-client",
        "streams-worker",
    ];
    for name in names {
        let run = |word: &str| {
            let mut command = example(name);
            let nowhere = unused_address();
            command.arg(word).env("CALLBOARD_BACKEND", &nowhere).env("CALLBOARD_FRONTEND", &nowhere);
            Finished::of(command)
        };
        let help = run("--help");
        assert!(help.code == 0 && help.stdout.len() > 20 && help.stderr.is_empty(), "{name}: {help:?}");
        let unknown = run("--no-such-flag");
        assert!(unknown.code == 2 && unknown.stderr.starts_with("error: "), "{name}: {unknown:?}");
    }
}
