//! Pools that scale themselves and recycle their processes.

use std::fs;

use rustix::process::Signal;
use serde::de::IgnoredAny;

use crate::harness::{Broker, Load, Pool, Process, callboard, example_path, signal, until_async};

#[tokio::test]
async fn a_pool_between_a_minimum_and_a_maximum_grows_with_its_queue() {
    let broker = Broker::start();
    let mut command = callboard();
    command.args(["pool", "--backend", &broker.backend, "--name", "jobs", "--min", "1", "--max", "3", "--"]);
    let pool = Process::start({
        command.arg(example_path("pool-worker"));
        command
    });
    assert_eq!(pool.line(), "ready 1 workers");
    let refused = broker.command(&["scale", "jobs", "2"]);
    refused.failed_with(1, &["FAILED_PRECONDITION", "scales itself"]);
    let client = broker.client().await;
    // Three times the slots of one worker.
    let calls: Vec<_> = (0..192)
        .map(|_| {
            let call = client.call::<IgnoredAny>("jobs.pause", (600_000_u64,)).no_timeout();
            tokio::spawn(async move { call.await.map(drop) })
        })
        .collect();
    until_async("the pool has its maximum size", async || {
        let status: serde_json::Value = client.call("callboard.pool.jobs.status", ()).await.unwrap();
        let workers = status["workers"].as_array().unwrap();
        workers.len() == 3 && workers.iter().all(|worker| worker["state"] == "registered")
    })
    .await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}

#[test]
fn a_worker_that_cannot_restart_does_not_affect_the_others() {
    let (broker, folder) = (Broker::start(), tempfile::tempdir().unwrap());
    let program = folder.path().join("pool-worker");
    fs::copy(example_path("pool-worker"), &program).unwrap();
    let mut command = Pool::command(&broker.backend, "jobs", 3);
    command.arg(&program);
    let pool = Pool::of(command, "jobs", 3);
    let before = pool.pids(&broker);
    fs::rename(&program, folder.path().join("away")).unwrap();
    signal(before[1], Signal::KILL);
    pool.process.stderr.wait_for("The pool retries it every 10s; its other workers serve");
    pool.process.stderr.wait_for("pool-worker");
    assert_eq!(pool.status(&broker).workers[1].state, "looping");
    broker.call(&["jobs.collatz", "27"]).printed();
    fs::rename(folder.path().join("away"), &program).unwrap();
    let after = pool.pids(&broker);
    assert_eq!((after[0], after[2]), (before[0], before[2]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_are_recycled_after_a_number_of_calls_and_no_call_fails() {
    let load = Load::start_sized(2, &["--recycle-calls", "300"]).await;
    let first = load.pool.pids(&load.broker);
    until_async("all first processes are replaced", async || {
        load.wait_for_outcomes(50);
        let workers = load.pool.status(&load.broker).workers;
        !workers.iter().any(|replica| replica.pid.is_some_and(|pid| first.contains(&pid)))
    })
    .await;
    assert_eq!(load.end().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_are_recycled_when_they_use_too_much_memory() {
    // Each process uses more than the limit from its start on.
    let load = Load::start_sized(1, &["--recycle-rss", "1MiB"]).await;
    let first = load.pool.pids(&load.broker);
    load.pool.process.stderr.wait_for("MiB of memory");
    until_async("a process is replaced", async || {
        let workers = load.pool.status(&load.broker).workers;
        !workers.iter().any(|replica| replica.pid.is_some_and(|pid| first.contains(&pid)))
    })
    .await;
    assert_eq!(load.end().await, 0);
}
