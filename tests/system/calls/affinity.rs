//! Calls with an affinity key, over several worker processes without shared state.

use std::time::{Duration, Instant};

use callboard::{CallError, Client, Code, Executed};
use rustix::process::Signal;
use tokio::task::JoinHandle;

use crate::harness::{Broker, DEADLINE, Pool, Process, example, run_five_counting_clients, until};

/// Starts workers of the key-value store. Each has its own memory.
fn stores(broker: &Broker, count: usize) -> Vec<Process> {
    let worker = || {
        let mut command = example("kvs-worker");
        command.env("CALLBOARD_BACKEND", &broker.backend);
        Process::start(command)
    };
    let workers = (0..count).map(|_| worker()).collect();
    let all = format!("\"workers\":{count}");
    until("all workers serve", || broker.command(&["services", "--json"]).printed().contains(&all).then_some(()));
    workers
}

#[test]
fn four_workers_count_to_exactly_five_thousand() {
    let broker = Broker::start();
    let _workers = stores(&broker, 4);
    run_five_counting_clients(&broker);
    assert_eq!(broker.call(&["kvs.get", "views", "--key", "views"]).printed(), "5000");
}

/// Increments the counter `times` times, and returns the outcomes.
fn count(client: Client, times: usize) -> JoinHandle<Vec<Result<usize, CallError>>> {
    tokio::spawn(async move {
        let mut outcomes = Vec::new();
        for _ in 0..times {
            outcomes.push(client.call("kvs.inc", ("views",)).key("views").timeout(DEADLINE).await);
        }
        outcomes
    })
}

/// Waits until a worker has answered `at_least` calls, and returns its process id.
fn busiest(broker: &Broker, at_least: u64) -> u32 {
    until("a worker has answered calls", || {
        let status: serde_json::Value = serde_json::from_str(&broker.call(&["callboard.status"]).printed()).unwrap();
        let workers = status["workers"].as_array().unwrap().iter();
        let mut busy = workers.filter(|worker| worker["answered"].as_u64() >= Some(at_least));
        busy.next().and_then(|worker| u32::try_from(worker["pid"].as_u64()?).ok())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_loses_only_its_running_call_and_the_next_worker_gets_the_key_alone() {
    let broker = Broker::start();
    let workers = stores(&broker, 4);
    let mut counting = Vec::new();
    for _ in 0..5 {
        counting.push(count(broker.client().await, 600));
    }
    let killed = busiest(&broker, 200);
    let killed = workers.iter().find(|worker| worker.pid() == killed).expect("the busiest worker is one of these");
    killed.signal(Signal::KILL);
    let (mut values, mut failures) = (Vec::new(), Vec::new());
    for task in counting {
        for outcome in task.await.unwrap() {
            match outcome {
                Ok(value) => values.push(value),
                Err(error) => failures.push(error),
            }
        }
    }
    assert!(failures.len() <= 1, "one call ran at a time, so at most one was lost: {failures:?}");
    for failure in &failures {
        assert_eq!((failure.code(), failure.executed()), (Code::Unavailable, Executed::Maybe), "{failure}");
    }
    // Two counters that increased by one each: that of the killed worker, and that of the next one.
    values.sort_unstable();
    let twice = values.windows(2).filter(|pair| pair[0] == pair[1]).count();
    let most = values.len() - twice;
    let expected = (1..=most).chain(1..=twice);
    let mut expected: Vec<_> = expected.collect();
    expected.sort_unstable();
    assert!(twice > 0, "the killed worker had counted");
    assert_eq!(values, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_runs_during_a_restart_of_the_broker_keeps_its_key() {
    const RUNS: Duration = Duration::from_secs(6);
    let mut broker = Broker::start();
    let _pool = Pool::start(&broker, 2);
    let client = broker.client().await;
    let began = Instant::now();
    let call = client.call::<serde::de::IgnoredAny>("jobs.pause", (RUNS.as_millis() as u64,)).key("k");
    let first = tokio::spawn(call.effect(callboard::Effect::Once).timeout(DEADLINE).into_future());
    broker.wait_for_running_call();
    let began_at_most = began.elapsed();
    broker.kill_and_start_again();
    let second = broker.client().await.call::<serde::de::IgnoredAny>("jobs.pause", (0,)).key("k");
    second.wait_for_ready().timeout(DEADLINE).await.unwrap();
    assert!(
        began.elapsed() >= RUNS,
        "the second call ran while the first one did, which began within {began_at_most:?}"
    );
    assert_eq!(first.await.unwrap().unwrap_err().executed(), Executed::Maybe);
}
