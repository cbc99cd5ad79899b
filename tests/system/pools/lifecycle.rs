//! The termination and the replacement of a pool's processes.

use rustix::process::Signal;

use crate::harness::{Broker, Pool, Process, example_path, is_alive, signal, until};

/// Starts a call of `jobs.pause`, and waits until it runs.
fn running_pause(broker: &Broker, milliseconds: &str) -> Process {
    let call = Process::start(broker.command_line(&["call", "jobs.pause", milliseconds]));
    broker.wait_for_running_call();
    call
}

#[test]
fn sigterm_lets_a_running_call_finish() {
    let broker = Broker::start();
    let mut pool = Pool::start(&broker, 2);
    let pids = pool.pids(&broker);
    let mut call = running_pause(&broker, "2000");
    pool.process.signal(Signal::TERM);
    assert_eq!(pool.process.exit_code(), 0);
    assert_eq!(call.exit_code(), 0, "{}", call.stderr.all());
    assert!(call.stdout.all().starts_with("{\"value\":2000,"));
    assert!(!pids.into_iter().any(is_alive));
}

#[test]
fn a_running_call_has_at_most_the_drain_time() {
    let broker = Broker::start();
    let mut command = Pool::command(&broker.backend, "jobs", 1);
    command.arg(example_path("pool-worker")).env("CALLBOARD_POOL_DRAIN", "200ms");
    let mut pool = Process::start(command);
    assert_eq!(pool.line(), "ready 1 workers");
    let mut call = running_pause(&broker, "600000");
    pool.signal(Signal::TERM);
    assert_eq!(pool.exit_code(), 0);
    // The call is retryable, but no worker is left. It waits for a worker until its timeout.
    call.signal(Signal::INT);
    assert_eq!(call.exit_code(), 130);
}

#[test]
fn a_second_ctrl_c_ends_a_pool_at_once() {
    let broker = Broker::start();
    let mut pool = Pool::start(&broker, 2);
    let pids = pool.pids(&broker);
    let _call = running_pause(&broker, "600000");
    pool.process.signal(Signal::INT);
    until("the pool drains", || {
        pool.status(&broker)
            .workers
            .iter()
            .all(|replica| replica.state == "draining" || replica.pid.is_none())
            .then_some(())
    });
    pool.process.signal(Signal::INT);
    assert_eq!(pool.process.exit_code(), 130);
    assert!(!pids.into_iter().any(is_alive));
}

#[test]
fn a_killed_pool_leaves_no_worker_behind() {
    let broker = Broker::start();
    let mut pool = Pool::start(&broker, 3);
    let pids = pool.pids(&broker);
    pool.process.kill();
    until("its workers have ended", || (!pids.iter().copied().any(is_alive)).then_some(()));
    assert_eq!(broker.command(&["services", "--json"]).printed(), "[]");
}

#[test]
fn a_killed_pool_leaves_no_worker_behind_a_script() {
    let broker = Broker::start();
    let mut command = Pool::command(&broker.backend, "jobs", 1);
    // The script is the pool's child. The worker that the script waits for is not.
    command.args(["sh", "-c", "\"$0\" & wait"]).arg(example_path("pool-worker"));
    let mut pool = Process::start(command);
    assert_eq!(pool.line(), "ready 1 workers");
    let status: serde_json::Value = serde_json::from_str(&broker.call(&["callboard.status"]).printed()).unwrap();
    let worker = status["workers"].as_array().unwrap().iter().find(|worker| worker["name"] == "jobs-1").unwrap();
    let worker = u32::try_from(worker["pid"].as_u64().unwrap()).unwrap();
    pool.kill();
    until("the worker has ended", || (!is_alive(worker)).then_some(()));
}

#[test]
fn a_killed_worker_is_replaced_and_the_pool_counts_it() {
    let broker = Broker::start();
    let pool = Pool::start(&broker, 2);
    let before = pool.pids(&broker);
    signal(before[0], Signal::KILL);
    let replica = until("its replacement is registered", || {
        let replicas = pool.status(&broker).workers;
        replicas.into_iter().find(|replica| replica.restarts == 1 && replica.state == "registered")
    });
    assert_eq!(replica.instance, "jobs-1.1");
    let after = pool.pids(&broker);
    assert!(after[0] != before[0] && after[1] == before[1], "{before:?} {after:?}");
}
