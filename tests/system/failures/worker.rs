//! Workers that are killed or stopped while they have calls.

use callboard::{CallError, Client, Code, Effect, Executed};
use rustix::process::Signal;
use serde::Deserialize;

use crate::harness::{Broker, DEADLINE, Finished, Load, Pool, example, signal, until, until_async};

/// The result of the functions of `pool-worker`.
#[derive(Debug, Deserialize)]
struct Found {
    pid: u32,
}

/// Waits until a worker other than `other_than` runs the call, and returns its process id.
fn runner(broker: &Broker, other_than: Option<u32>) -> u32 {
    until("a worker runs the call", || {
        let status: serde_json::Value = serde_json::from_str(&broker.call(&["callboard.status"]).printed()).unwrap();
        let workers = status["workers"].as_array().unwrap().iter();
        let mut runners = workers.filter(|worker| worker["running"] == 1).filter_map(|worker| worker["pid"].as_u64());
        runners.next().map(|pid| u32::try_from(pid).unwrap()).filter(|pid| Some(*pid) != other_than)
    })
}

fn pause(
    client: &Client,
    milliseconds: u64,
    effect: Option<Effect>,
) -> tokio::task::JoinHandle<Result<Found, CallError>> {
    let call = client.call("jobs.pause", (milliseconds,)).timeout(DEADLINE);
    tokio::spawn(match effect {
        Some(effect) => call.effect(effect).into_future(),
        None => call.into_future(),
    })
}

#[test]
fn ten_thousand_calls_are_all_answered_and_every_process_runs_some() {
    let broker = Broker::start();
    let pool = Pool::start(&broker, 4);
    let mut client = example("pool-client");
    client.arg(&broker.frontend);
    let shown = Finished::of(client).printed();
    let mut lines = shown.lines();
    assert_eq!(lines.next(), Some("849666 steps"));
    for pid in pool.pids(&broker) {
        assert!(shown.contains(&format!("\nprocess {pid}: ")), "{shown}");
    }
    assert_eq!(lines.count(), 4, "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_under_load_is_replaced_and_no_retryable_call_fails() {
    let load = Load::start(4).await;
    let killed = load.pool.pids(&load.broker)[0];
    load.wait_for_outcomes(1_000);
    signal(killed, Signal::KILL);
    until("its replacement is registered", || (!load.pool.pids(&load.broker).contains(&killed)).then_some(()));
    load.wait_for_outcomes(1_000);
    load.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_retryable_call_moves_to_another_worker() {
    let broker = Broker::start();
    let _pool = Pool::start(&broker, 2);
    let client = broker.client().await;
    let call = pause(&client, 2_000, None);
    let killed = runner(&broker, None);
    signal(killed, Signal::KILL);
    let Found { pid } = call.await.unwrap().unwrap();
    assert_ne!(pid, killed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_call_that_may_not_be_retried_reports_that_it_may_have_run() {
    let broker = Broker::start();
    let _pool = Pool::start(&broker, 2);
    let client = broker.client().await;
    let call = pause(&client, 600_000, Some(Effect::Once));
    signal(runner(&broker, None), Signal::KILL);
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    // `yes` if the worker had reported the start of the handler.
    assert_ne!(error.executed(), Executed::No, "{error}");
    assert!(error.worker().unwrap().starts_with("jobs-"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_kills_three_workers_is_given_up() {
    let broker = Broker::start();
    let _pool = Pool::start(&broker, 2);
    let client = broker.client().await;
    let call = pause(&client, 600_000, None);
    let mut killed = None;
    for _ in 0..3 {
        let pid = runner(&broker, killed);
        signal(pid, Signal::KILL);
        killed = Some(pid);
    }
    let error = call.await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.attempt()), (Code::Unavailable, Some(3)), "{error}");
    assert!(!error.timings().running.is_zero(), "{}", error.timings());
    let call = error.call_id().unwrap().to_string();
    let listed = broker.command(&["dead"]).printed();
    assert!(listed.contains(&call) && listed.contains("jobs.pause"), "{listed}");
    let shown = broker.command(&["dead", "show", "1"]).printed();
    assert!(shown.contains("arguments: [600000]") && shown.contains("was lost while it had the call"), "{shown}");
    broker.command(&["dead", "drop", "1"]).printed();
    assert_eq!(broker.command(&["dead"]).printed(), "no dead letters");
    broker
        .command(&["dead", "resend", "1"])
        .failed_with(1, &["FAILED_PRECONDITION", "unknown dead letter 1; `callboard dead` lists them"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn why_explains_a_waiting_and_a_running_call() {
    let broker = Broker::start();
    let _pool = Pool::start(&broker, 1);
    let client = broker.client().await;
    let call = pause(&client, 600_000, None);
    broker.wait_for_running_call();
    let report: serde_json::Value = serde_json::from_str(&broker.command(&["why", "--json"]).printed()).unwrap();
    let id = report[0]["call"].as_str().unwrap();
    assert_eq!((&report[0]["state"], report.as_array().unwrap().len()), (&"running".into(), 1));
    let sentence = broker.command(&["why", id]).printed();
    assert!(sentence.contains("it is at worker jobs-1"), "{sentence}");
    broker.command(&["why", "nonsense"]).failed_with(1, &["INVALID_ARGUMENT", "3f9a1c02-17"]);
    call.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_calls_of_a_stopped_worker_move_and_it_reconnects_when_it_continues() {
    let broker = Broker::start();
    // Without a pool, which would replace the stopped worker.
    let _workers = [broker.worker("pool-worker", "jobs"), broker.worker("pool-worker", "jobs")];
    let client = broker.client().await;
    let call = pause(&client, 1_500, None);
    let stopped = runner(&broker, None);
    signal(stopped, Signal::STOP);
    let Found { pid } = call.await.unwrap().unwrap();
    assert_ne!(pid, stopped);
    signal(stopped, Signal::CONT);
    broker.process.stderr.wait_for("worker lost");
    // Of two concurrent calls each worker gets one.
    until_async("the worker serves again", async || {
        let (one, two) = (pause(&client, 50, None), pause(&client, 50, None));
        let pids = [one.await.unwrap().unwrap().pid, two.await.unwrap().unwrap().pid];
        pids.contains(&stopped)
    })
    .await;
}
