//! The format of the log, slow calls, and the ids of calls in it.

use serde_json::Value;

use crate::harness::{Broker, Finished, Process, any_port, callboard};

fn broker_with(flags: &[&str]) -> Broker {
    let any_port = any_port();
    Broker::start_with(&[&["--frontend", &any_port, "--backend", &any_port], flags].concat())
}

/// Returns the id of the call in an error.
fn call_id(stderr: &str) -> String {
    let (_, id) =
        stderr.split_once(", call ").or(stderr.split_once("; call ")).unwrap_or_else(|| panic!("no id in: {stderr}"));
    id.chars().take_while(|letter| letter.is_ascii_hexdigit() || *letter == '-').collect()
}

#[test]
fn each_line_of_the_log_is_json_or_logfmt_if_that_is_wanted() {
    let broker = broker_with(&["--log-format", "json"]);
    let _worker = broker.worker("calculator-worker", "calculator");
    let joined: Value = serde_json::from_str(&broker.process.stderr.wait_for("worker joined")).unwrap();
    assert_eq!((&joined["level"], &joined["target"]), (&"info".into(), &"callboard::broker".into()), "{joined}");
    assert_eq!((&joined["message"], &joined["services"]), (&"worker joined".into(), &"calculator".into()));
    let lines = broker.process.stderr.so_far();
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{lines}");

    let any_port = any_port();
    let mut command = callboard();
    command.args(["broker", "--frontend", &any_port, "--backend", &any_port]).env("CALLBOARD_LOG_FORMAT", "logfmt");
    let broker = Broker::of(Process::start(command));
    let _worker = broker.worker("calculator-worker", "calculator");
    let joined = broker.process.stderr.wait_for("worker joined");
    assert!(joined.starts_with("time=20") && joined.contains(" level=info target=callboard::broker "), "{joined}");
    assert!(joined.contains(" message=\"worker joined\" ") && joined.contains(" services=calculator"), "{joined}");
}

#[test]
fn an_unknown_log_format_is_an_error() {
    let mut command = callboard();
    command.arg("config").env("CALLBOARD_LOG_FORMAT", "xml");
    let words = ["CALLBOARD_LOG_FORMAT", "\"xml\"", "text, json or logfmt"];
    Finished::of(command).failed_with(2, &words);
}

#[test]
fn a_slow_call_is_logged_with_where_its_time_went_and_the_id_of_its_error() {
    let broker = broker_with(&["--slow-call", "100ms"]);
    let _worker = broker.worker("pool-worker", "jobs");
    broker.call(&["jobs.pause", "1"]).printed();
    broker.call(&["jobs.pause", "150"]).printed();
    let slow = broker.process.stderr.wait_for("call was slow");
    assert!(slow.contains(" method=jobs.pause worker=pool-worker-") && slow.contains(" attempts=1 total="), "{slow}");
    assert!(slow.contains(" queue=") && slow.contains(" at_worker=") && slow.contains(" handler=1"), "{slow}");
    let late = broker.call(&["jobs.pause", "600000", "--timeout", "300ms"]).failed(5);
    let line = broker.process.stderr.wait_for(&format!("call was slow call={}", call_id(&late)));
    assert!(line.contains(" total="), "{line}");
    assert_eq!(broker.process.stderr.so_far().matches("call was slow").count(), 2);
}

#[test]
fn a_panic_is_logged_with_its_backtrace_and_the_id_that_the_caller_gets() {
    let broker = Broker::start();
    let mut command = callboard();
    command.args(["internal", "stuck-worker"]).env("CALLBOARD_BACKEND", &broker.backend);
    let worker = Process::start(command);
    broker.wait_for_service("stuck");
    let error = broker.call(&["stuck.panic"]).failed(1);
    assert!(error.starts_with("error: INTERNAL Panic: the handler panicked: on purpose (executed: yes"), "{error}");
    let line = worker.stderr.wait_for("ERROR callboard::worker: the handler panicked: on purpose");
    worker.stderr.wait_for(&format!("call={} method=stuck.panic", call_id(&error)));
    worker.stderr.wait_for("run::internal");
    assert!(!line.contains("callboard_workers::"), "{line}");
}
