//! What operators change while calls run: pauses, limits, cancelled and purged calls, drained workers.

use crate::harness::{Broker, Finished, Process, callboard, example_path, until};

/// Starts `callboard call jobs.METHOD ARGUMENTS...`, and waits until its call is open.
fn start_call(broker: &Broker, words: &[&str]) -> Process {
    let open = open_calls(broker).len();
    let call = Process::start(broker.command_line(&[&["call", "--timeout", "1m"], words].concat()));
    until("the call is open", || (open_calls(broker).len() > open).then_some(()));
    call
}

/// Returns the ids of the open calls, and what each waits for.
fn open_calls(broker: &Broker) -> Vec<(String, String)> {
    let why: serde_json::Value = serde_json::from_str(&broker.command(&["why", "--json"]).printed()).unwrap();
    let text = |entry: &serde_json::Value, name: &str| entry[name].as_str().unwrap().to_owned();
    why.as_array().unwrap().iter().map(|entry| (text(entry, "call"), text(entry, "reason"))).collect()
}

fn refused(broker: &Broker, words: &[&str]) -> String {
    let Finished { code, stderr, .. } = broker.command(words);
    assert_ne!(code, 0, "{words:?}");
    stderr
}

#[test]
fn calls_of_a_paused_service_wait_until_it_is_resumed() {
    let broker = Broker::start();
    let _worker = broker.worker("calculator-worker", "calculator");
    assert_eq!(broker.command(&["pause", "calculator"]).printed(), "calculator is paused; 0 calls of its service wait");
    let mut call = start_call(&broker, &["calculator.add", "2", "3"]);
    assert!(open_calls(&broker)[0].1.starts_with("an operator has paused calculator"), "{:?}", open_calls(&broker));
    assert!(broker.command(&["limit"]).printed().contains("calculator  paused"));
    assert_eq!(broker.command(&["resume", "calculator"]).printed(), "calculator is resumed");
    assert_eq!((call.line(), call.exit_code()), ("5".to_owned(), 0));
    broker.process.stderr.wait_for("operator request");
}

#[test]
fn an_operator_purges_the_waiting_calls_and_cancels_one_call() {
    let broker = Broker::start();
    let _worker = broker.worker("calculator-worker", "calculator");
    broker.command(&["pause", "calculator"]).printed();
    let mut calls = [1, 2, 3].map(|_| start_call(&broker, &["calculator.add", "2", "3"]));
    let (id, _) = &open_calls(&broker)[0];
    assert_eq!(broker.command(&["cancel", id]).printed(), format!("{id} is cancelled"));
    assert_eq!(broker.command(&["purge", "calculator"]).printed(), "2 waiting calls of calculator ended");
    for call in &mut calls {
        assert_eq!(call.exit_code(), 1);
        call.stderr.wait_for("an operator");
    }
    assert!(refused(&broker, &["cancel", id]).contains("is not open"));
}

#[test]
fn a_limit_is_set_listed_and_removed() {
    let broker = Broker::start();
    let _worker = broker.worker("calculator-worker", "calculator");
    let set = ["limit", "calculator.add", "--concurrency", "8", "--rate", "30/min", "--burst", "5"];
    assert_eq!(broker.command(&set).printed(), "calculator.add is limited");
    let listed = broker.command(&["limit"]).printed();
    assert!(listed.contains("at most 8 at once, 0.5 per second, 5 at once after a pause"), "{listed}");
    let json = broker.command(&["limit", "--json"]).printed();
    assert!(json.contains("\"target\":\"calculator.add\""), "{json}");
    (0..5).for_each(|_| assert_eq!(broker.call(&["calculator.add", "2", "3"]).printed(), "5"));
    let mut sixth = start_call(&broker, &["calculator.add", "2", "3"]);
    assert_eq!(broker.command(&["limit", "calculator.add", "--none"]).printed(), "calculator.add has no limit");
    assert_eq!(sixth.exit_code(), 0);
    assert_eq!(broker.command(&["limit"]).printed(), "nothing is limited or paused");
    for (words, part) in [
        (&["limit", "calculator"][..], "write --concurrency, --rate or --none"),
        (&["limit", "calculator", "--rate", "10/day"], "is not a unit of a rate"),
        (&["limit", "calculator", "--rate", "0"], "is not between"),
        (&["pause", "calculator.ad"], "did you mean add"),
        (&["pause", "--worker", "nobody"], "no worker nobody is connected"),
        (&["drain", "nobody"], "no worker nobody is connected"),
        (&["cancel", "x"], "invalid call id x"),
    ] {
        let stderr = refused(&broker, words);
        assert!(stderr.contains(part), "{words:?}: {stderr}");
    }
}

#[test]
fn a_drained_worker_of_a_pool_is_replaced_and_a_paused_one_gets_no_calls() {
    let broker = Broker::start();
    let mut pool = callboard();
    pool.args(["pool", "--name", "sums", "-n", "2", "--"]).arg(example_path("calculator-worker"));
    let _pool = Process::start({
        pool.env("CALLBOARD_BACKEND", &broker.backend).env("CALLBOARD_FRONTEND", &broker.frontend);
        pool
    });
    let workers = || -> Vec<String> {
        let status: serde_json::Value = serde_json::from_str(&broker.command(&["status", "--json"]).printed()).unwrap();
        let workers = status["broker"]["workers"].as_array().or_else(|| status["workers"].as_array()).unwrap().clone();
        let of_pool = workers.iter().filter(|worker| worker["services"][0] == "calculator");
        of_pool.map(|worker| worker["name"].as_str().unwrap().to_owned()).collect()
    };
    let first = until("both workers serve", || Some(workers()).filter(|workers| workers.len() == 2));
    assert_eq!(broker.command(&["drain", &first[0]]).printed(), format!("worker {} drains", first[0]));
    let second = until("another worker serves", || {
        Some(workers()).filter(|workers| workers.len() == 2 && !workers.contains(&first[0]))
    });
    second.iter().for_each(|worker| {
        assert_eq!(broker.command(&["pause", "--worker", worker]).printed(), format!("worker {worker} is paused"));
    });
    let mut call = start_call(&broker, &["calculator.add", "2", "3"]);
    assert!(open_calls(&broker)[0].1.contains("2 of its workers are paused by an operator"));
    broker.command(&["resume", "--worker", &second[0]]).printed();
    assert_eq!(call.exit_code(), 0);
}
