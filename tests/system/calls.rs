//! `callboard call` and `ping` where something is missing, late or wrongly typed.

use crate::harness::{Broker, Finished, Pool, Process, until};

/// An address at which nobody listens: the port was free a moment ago.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("tcp://{}", listener.local_addr().unwrap())
}

#[test]
fn without_a_broker_a_command_says_so_in_one_sentence_and_ends_with_3() {
    let nowhere = nowhere();
    for command in [&["call", "calculator.add", "2", "3"][..], &["services"], &["ping"]] {
        let ended = Finished::callboard(&[command, &["--frontend", &nowhere]].concat());
        ended.complained_of(3, &[&nowhere, "start a broker there"]);
    }
}

#[test]
fn a_call_that_takes_too_long_ends_with_3_and_says_whether_it_ran() {
    let broker = Broker::start();
    let _worker = broker.worker("pool-worker", "jobs");
    let late = broker.call(&["jobs.pause", "600000", "--timeout", "3s"]);
    late.complained_of(3, &["DEADLINE_EXCEEDED", "executed: yes", "pool-worker-"]);
    let never = broker.call(&["nobody.serves", "--wait-for-ready", "--timeout", "300ms"]);
    never.complained_of(3, &["DEADLINE_EXCEEDED", "executed: no"]);
}

#[test]
fn a_cast_prints_nothing_and_is_run() {
    let broker = Broker::start();
    let journal = tempfile::NamedTempFile::new().unwrap();
    let _pool = Pool::start_with(&broker, 1, &[("JOBS_JOURNAL", journal.path().as_os_str())]);
    assert_eq!(broker.call(&["jobs.note", "7", "--cast"]).printed(), "");
    until("the worker has run it", || {
        std::fs::read_to_string(journal.path()).unwrap().starts_with("note 7 ").then_some(())
    });
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_would_be_right() {
    let complains = |words: &[&str], of: &[&str]| Finished::callboard(words).complained_of(2, of);
    complains(&["call", "add", "1"], &["SERVICE.METHOD", "calculator.add"]);
    complains(&["call", "calculator.add", "18446744073709551616"], &["18446744073709551616", "64 bits"]);
    complains(&["call", "calculator.add", "@no/such/file"], &["no/such/file"]);
    complains(&["call", "calculator.add", "--timeout", "soon"], &["--timeout", "5s"]);
    complains(&["ping", "--frontend", "localhost:5559"], &["localhost:5559", "tcp://HOST:PORT"]);
    let unknown_flag = Finished::callboard(&["call", "calculator.add", "--timeot", "5s"]).complained(2);
    assert!(unknown_flag.contains("--timeout"), "{unknown_flag}");
}

#[test]
fn ping_tells_how_long_the_broker_took() {
    let broker = Broker::start();
    let answer: serde_json::Value = serde_json::from_str(&broker.command(&["ping", "--json"]).printed()).unwrap();
    assert_eq!(answer["frontend"], broker.frontend.as_str());
    assert!(answer["round_trip_us"].as_u64().unwrap() > 0, "{answer}");
    let said = broker.command(&["ping"]).printed();
    assert!(said.starts_with(&format!("{} answered in ", broker.frontend)), "{said}");
}

#[test]
fn ctrl_c_ends_a_call_with_130() {
    let broker = Broker::start();
    let _worker = broker.worker("pool-worker", "jobs");
    let mut call = Process::start(broker.command_line(&["call", "jobs.pause", "600000"]));
    broker.wait_for_running_call();
    call.signal(rustix::process::Signal::INT);
    assert_eq!(call.exit_code(), 130);
}
