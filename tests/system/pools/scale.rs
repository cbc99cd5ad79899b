//! `callboard scale`: pools that grow and shrink.

use rustix::process::Signal;

use crate::harness::{Broker, Finished, Load, Pool, Process, callboard, example_path, is_alive, until};

fn scale(broker: &Broker, size: u32) -> String {
    broker.command(&["scale", "jobs", &size.to_string()]).printed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_a_pool_grows_and_shrinks() {
    let load = Load::start_sized(4, &["--max", "8"]).await;
    let first = load.pool.pids(&load.broker);
    load.wait_for_outcomes(300);
    assert_eq!(scale(&load.broker, 8), "jobs has 8 workers");
    let most = load.pool.pids(&load.broker);
    assert_eq!(most.len(), 8);
    assert!(first.iter().all(|pid| most.contains(pid)), "the first workers stay: {first:?} {most:?}");
    load.wait_for_outcomes(300);
    assert_eq!(scale(&load.broker, 2), "jobs has 2 workers");
    let left = load.pool.pids(&load.broker);
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|pid| most.contains(pid) && is_alive(*pid)), "{left:?}");
    let gone: Vec<_> = most.into_iter().filter(|pid| !left.contains(pid)).collect();
    assert!(!gone.into_iter().any(is_alive), "the removed workers have ended");
    load.wait_for_outcomes(300);
    assert_eq!(load.end().await, 0, "no call failed, not even a `once` call");
}

#[test]
fn idle_workers_leave_and_busy_workers_finish() {
    let broker = Broker::start();
    let pool = Pool::start(&broker, 2);
    let mut call = Process::start(broker.command_line(&["call", "jobs.pause", "3000"]));
    broker.wait_for_running_call();
    let busy = busy_worker(&broker);
    assert_eq!(scale(&broker, 1), "jobs has 1 workers");
    let replicas = pool.status(&broker).workers;
    assert_eq!(replicas.iter().map(|replica| replica.instance.as_str()).collect::<Vec<_>>(), [busy]);
    assert_eq!(call.exit_code(), 0, "{}", call.stderr.all());
}

/// Returns the name of the worker that runs a call.
fn busy_worker(broker: &Broker) -> String {
    let status: serde_json::Value = serde_json::from_str(&broker.call(&["callboard.status"]).printed()).unwrap();
    let worker = status["workers"].as_array().unwrap().iter().find(|worker| worker["running"] == 1).unwrap();
    worker["name"].as_str().unwrap().to_owned()
}

#[test]
fn a_busy_worker_that_must_leave_finishes_its_call_first() {
    let broker = Broker::start();
    let pool = Pool::start(&broker, 2);
    let calls: Vec<_> = (0..2).map(|_| Process::start(broker.command_line(&["call", "jobs.pause", "2000"]))).collect();
    until("both calls run", || {
        let load = broker.call(&["callboard.load", "jobs"]).printed();
        (load.matches("\"draining\":false,\"stuck\":false,\"running\":1").count() == 2).then_some(())
    });
    let scaled = broker.command(&["scale", "jobs", "1", "--no-wait"]).printed();
    assert_eq!(scaled, "jobs scales to 1 workers");
    let states: Vec<_> = pool.status(&broker).workers.into_iter().map(|replica| replica.state).collect();
    assert!(states.contains(&"draining".to_owned()), "{states:?}");
    for mut call in calls {
        assert_eq!(call.exit_code(), 0, "{}", call.stderr.all());
    }
    assert_eq!(scale(&broker, 1), "jobs has 1 workers");
}

#[test]
fn a_size_beyond_the_bounds_of_a_pool_is_rejected() {
    let broker = Broker::start();
    let mut command = callboard();
    command.args(["pool", "--backend", &broker.backend, "--name", "jobs", "-n", "2", "--min", "2", "--max", "3", "--"]);
    let pool = Process::start({
        command.arg(example_path("pool-worker"));
        command
    });
    assert_eq!(pool.line(), "ready 2 workers");
    for size in ["1", "4"] {
        let refused = broker.command(&["scale", "jobs", size]);
        refused.failed_with(1, &["OUT_OF_RANGE", &format!("size {size} is outside of this pool's bounds, 2 to 3")]);
    }
    assert_eq!(scale(&broker, 3), "jobs has 3 workers");
}

#[test]
fn a_pool_without_bounds_grows_to_four_times_its_size_at_most() {
    let broker = Broker::start();
    let pool = Pool::start(&broker, 1);
    broker.command(&["scale", "jobs", "5"]).failed_with(1, &["bounds, 1 to 4"]);
    assert_eq!(pool.status(&broker).size, 1);
}

#[test]
fn an_unknown_pool_and_an_invalid_name_are_errors() {
    let broker = Broker::start();
    let _pool = Pool::start(&broker, 1);
    broker.command(&["scale", "jbos", "2"]).failed_with(1, &["unknown pool jbos; registered pools: jobs"]);
    // The name of a program also selects a pool.
    broker.command(&["reload", "./jobs-worker"]).failed_with(1, &["unknown pool jobs_worker"]);
    let many = broker.command(&["scale", "jobs", "x"]).failed(2);
    assert!(many.contains("'x' for '<NUMBER>': write a whole number"), "{many}");
    let contradiction = Finished::callboard(&["pool", "-n", "4", "--min", "6", "--", "sleep", "600"]);
    contradiction.failed_with(2, &["-n", "--min"]);
}

#[test]
fn a_scaled_pool_ends_with_all_its_workers() {
    let broker = Broker::start();
    let mut pool = Pool::start(&broker, 1);
    scale(&broker, 4);
    let pids = pool.pids(&broker);
    pool.process.signal(Signal::TERM);
    assert_eq!(pool.process.exit_code(), 0);
    assert!(!pids.into_iter().any(is_alive));
}
