//! Programs started by hand, without a log: each problem is an error on stderr, and no program waits silently.

use crate::harness::{Process, example, unused_address};

#[test]
fn a_worker_with_an_invalid_broker_address_ends_at_once_with_an_error() {
    let mut command = example("calculator-worker");
    command.env("CALLBOARD_BACKEND", "bogus");
    let mut worker = Process::start(command);
    assert_eq!(worker.exit_code(), 1);
    let said = worker.stderr.all();
    assert!(said.starts_with("Error: cannot connect to `bogus`") && said.contains("tcp://HOST:PORT"), "{said}");
}

#[test]
fn a_worker_without_a_broker_reports_it_once_also_without_a_log() {
    let nowhere = unused_address();
    let mut command = example("calculator-worker");
    command.env("CALLBOARD_BACKEND", &nowhere);
    let worker = Process::start(command);
    let said = worker.stderr.wait_for("not connected to a broker");
    assert!(said.contains(&nowhere) && said.contains("start a broker there"), "{said}");
}

#[test]
fn a_client_that_finds_no_broker_ends_with_a_sentence() {
    let mut command = example("calculator-client");
    command.arg("bogus");
    let mut client = Process::start(command);
    assert_eq!(client.exit_code(), 1);
    let said = client.stderr.all();
    assert!(said.starts_with("Error: cannot connect to `bogus`"), "{said}");
}
