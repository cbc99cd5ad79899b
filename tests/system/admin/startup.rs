//! The address of an endpoint: what is wrong with it is an error at the start.

use std::net::TcpListener;

use super::endpoint::Endpoint;
use crate::harness::{Broker, Finished, any_port};

fn broker_with(admin: &str) -> Finished {
    let any_port = any_port();
    Finished::callboard(&["broker", "--frontend", &any_port, "--backend", &any_port, "--admin", admin])
}

#[test]
fn an_address_that_is_in_use_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    broker_with(&address).failed_with(4, &["cannot listen on", &address, "flag --admin", "in use"]);
}

#[test]
fn a_text_that_is_no_address_is_an_error() {
    for text in ["5561", "tcp://127.0.0.1:5561", "127.0.0.1"] {
        broker_with(text).failed_with(2, &["--admin", text, "write HOST:PORT, such as 127.0.0.1:5561, or none"]);
    }
}

#[test]
fn an_address_that_other_machines_reach_gets_a_warning() {
    let any_port = any_port();
    let flags = |admin| ["--frontend", &any_port, "--backend", &any_port, "--admin", admin].map(str::to_owned);
    let start = |admin| Broker::start_with(&flags(admin).each_ref().map(String::as_str));
    let open = start("0.0.0.0:0");
    let warning = open.process.stderr.wait_for("other machines can reach the admin endpoint");
    assert!(warning.contains("WARN"), "{warning}");
    let local = start("localhost:0");
    Endpoint::of(&local.process).get("/live").assert(200, &["live"]);
    assert!(!local.process.stderr.so_far().contains("other machines"));
}

#[test]
fn a_variable_sets_the_address_too() {
    let any_port = any_port();
    let mut command = crate::harness::callboard();
    command
        .args(["broker", "--frontend", &any_port, "--backend", &any_port])
        .env("CALLBOARD_BROKER_ADMIN", "127.0.0.1:0");
    let broker = Broker::of(crate::harness::Process::start(command));
    Endpoint::of(&broker.process).get("/ready").assert(200, &["ready"]);
}
