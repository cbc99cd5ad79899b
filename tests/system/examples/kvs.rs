//! The key-value store of the examples.

use std::{io::Write as _, process::Stdio};

use crate::harness::{Broker, Finished, example, run_five_counting_clients};

#[test]
fn a_stored_value_is_returned_and_a_missing_one_is_null() {
    let broker = Broker::start();
    let _worker = broker.worker("kvs-worker", "kvs");
    assert_eq!(broker.call(&["kvs.get", "a"]).printed(), "null");
    assert_eq!(broker.call(&["kvs.put", "a", "10"]).printed(), "null");
    assert_eq!(broker.call(&["kvs.get", "a"]).printed(), "10");
    let value = r#"{"list":[1,-2.5,null,true],"text":"x"}"#;
    broker.call(&["kvs.put", "k=b", &format!("v={value}")]).printed();
    assert_eq!(broker.call(&["kvs.get", "b"]).printed(), value);
    assert!(broker.call(&["kvs.uname"]).printed().contains("\"sysname\":\""));
    broker.call(&["kvs.inc", "b"]).failed_with(1, &["FAILED_PRECONDITION", "no number"]);
}

#[test]
fn five_processes_that_count_concurrently_lose_no_increment() {
    let broker = Broker::start();
    let _worker = broker.worker("kvs-worker", "kvs");
    run_five_counting_clients(&broker);
    assert_eq!(broker.call(&["kvs.get", "views"]).printed(), "5000");
}

#[test]
fn the_store_stops_in_order_on_ctrl_c() {
    let broker = Broker::start();
    let mut worker = broker.worker("kvs-worker", "kvs");
    worker.signal(rustix::process::Signal::INT);
    assert_eq!(worker.exit_code(), 0);
    broker.process.stderr.wait_for("worker left");
}

#[test]
fn the_store_stops_in_order_on_enter() {
    let broker = Broker::start();
    let mut command = example("kvs-worker");
    command.env("CALLBOARD_BACKEND", &broker.backend).stdin(Stdio::piped());
    let mut worker = command.spawn().unwrap();
    broker.wait_for_service("kvs");
    worker.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(worker.wait().unwrap().success());
    broker.process.stderr.wait_for("worker left");
}

#[test]
fn the_client_of_the_example_prints_the_number_of_views() {
    let broker = Broker::start();
    let _worker = broker.worker("kvs-worker", "kvs");
    let mut client = example("kvs-client");
    client.args([&broker.frontend, "3"]);
    assert_eq!(Finished::of(client).printed(), "3 views after the last of mine");
}
