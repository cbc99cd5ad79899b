//! Programs started by hand, without a log: each problem is an error on stderr, and no program waits silently.

use crate::harness::{Process, example, unused_address};

#[test]
fn a_worker_with_an_invalid_broker_address_ends_at_once_with_an_error() {
    let mut command = example("calculator-worker");
    command.env("CALLBOARD_BACKEND", "bogus");
    let mut worker = Process::start(command);
    assert_eq!(worker.exit_code(), 1);
    let stderr = worker.stderr.all();
    assert!(stderr.starts_with("Error: cannot connect to `bogus`") && stderr.contains("tcp://HOST:PORT"), "{stderr}");
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
    assert!(stderr.starts_with("Error: cannot connect to `bogus`"), "{stderr}");
}
