//! The position of the examples: a worker with its own task, and a client that continues after errors.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Broker, Process, example, until};

fn worker(broker: &Broker) -> Process {
    let mut command = example("position-worker");
    command.args(["--address", &broker.backend, "--every-ms", "2", "--degrees", "5", "--log", "warn"]);
    let worker = Process::start(command);
    broker.wait_for_service("position");
    worker
}

fn client(broker: &Broker, words: &[&str]) -> Process {
    let mut command = example("position-client");
    command.args(words).env("POSITION_ADDRESS", &broker.frontend);
    Process::start(command)
}

#[test]
fn the_point_moves_by_itself_and_continues_from_a_set_position() {
    let broker = Broker::start();
    let _worker = worker(&broker);
    let position = || -> Value { serde_json::from_str(&broker.call(&["position.position", "me"]).printed()).unwrap() };
    let first = position();
    assert_eq!((&first["status"], &first["message"]), (&json!("ok"), &json!("for me")));
    let (x, y) = (first["x"].as_f64().unwrap(), first["y"].as_f64().unwrap());
    assert!((x.hypot(y) - 1.0).abs() < 1e-9, "{first}");
    until("the point has moved", || (position()["x"] != first["x"]).then_some(()));
    let published = broker.call(&["position.publish", r#"{"x": 0.0, "y": 3.0, "z": 0.0}"#]).printed();
    assert_eq!(published, r#"{"status":"ok","message":"continues from 90.0 degrees"}"#);
    let nowhere = broker.call(&["position.publish", r#"{"x": 0, "y": 0, "z": 1}"#]).printed();
    assert!(nowhere.contains("refused"), "{nowhere}");
}

#[test]
fn a_polling_client_continues_after_errors_and_reports_them() {
    let broker = Broker::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("position.json");
    fs::write(&file, r#"{"every_ms": 20, "log": "off"}"#).unwrap();
    let mut asking = client(&broker, &["--config", file.to_str().unwrap()]);
    asking.stdout.wait_for("no position: UNAVAILABLE");
    let mut worker_process = worker(&broker);
    asking.stdout.wait_for("for the example; missed 0");
    worker_process.kill();
    let before = asking.stdout.so_far().lines().count();
    let errors_since =
        |asking: &Process| asking.stdout.so_far().lines().skip(before).any(|line| line.contains("no position"));
    until("the client reports that the broker is away", || errors_since(&asking).then_some(()));
    let before = asking.stdout.so_far().lines().count();
    let _worker = worker(&broker);
    let goes_on = || asking.stdout.so_far().lines().skip(before).any(|line| line.starts_with("x "));
    until("the client continues", || goes_on().then_some(()));
    asking.kill();
}

#[test]
fn a_slow_watcher_sees_the_newest_position_and_how_many_it_missed() {
    let broker = Broker::start();
    let _worker = worker(&broker);
    let watching = client(&broker, &["--watch", "--every-ms", "50"]);
    let missed = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    until("the watcher has missed positions", || {
        let all = watching.stdout.so_far();
        let counts: Vec<_> = all.lines().map(missed).collect();
        assert!(counts.is_sorted(), "the counts increase: {all}");
        (counts.last()? > &20).then_some(())
    });
}

#[test]
fn the_settings_of_callboard_apply_before_those_of_the_program() {
    let broker = Broker::start();
    let mut worker = example("position-worker");
    worker.env("CALLBOARD_BACKEND", &broker.backend).env("POSITION_ADDRESS", "tcp://127.0.0.1:1");
    let worker = Process::start(worker);
    broker.wait_for_service("position");
    let mut client = example("position-client");
    client.env("CALLBOARD_FRONTEND", &broker.frontend).env("POSITION_EVERY_MS", "20");
    Process::start(client).stdout.wait_for("for the example");
    assert!(!worker.stderr.so_far().contains('\x1b'), "a pipe has no colours");
}

#[test]
fn the_error_of_an_invalid_setting_names_its_source() {
    let mut command = example("position-worker");
    command.env("POSITION_EVERY_MS", "soon");
    let ended = crate::harness::Finished::of(command);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("POSITION_EVERY_MS=soon cannot be used"), "{ended:?}");
}
