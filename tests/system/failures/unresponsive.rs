//! Unresponsive processes: a handler does not stop, or the process itself is stopped.

use callboard::{Client, Code, Executed};
use rustix::process::Signal;

use crate::harness::{Broker, DEADLINE, Pool, Process, is_alive, signal, until};

fn stuck_pool(broker: &Broker, size: u32) -> Process {
    let mut command = Pool::command(&broker.backend, "stuck", size);
    command.arg(env!("CARGO_BIN_EXE_callboard")).args(["internal", "stuck-worker"]);
    let pool = Process::start(command);
    assert_eq!(pool.line(), format!("ready {size} workers"));
    pool
}

/// Returns the workers' process ids, as the broker reports them.
fn pids(broker: &Broker) -> Vec<u32> {
    let status: serde_json::Value = serde_json::from_str(&broker.call(&["callboard.status"]).printed()).unwrap();
    let workers = status["workers"].as_array().unwrap().iter().filter(|worker| worker["pool"] == "stuck");
    workers.map(|worker| u32::try_from(worker["pid"].as_u64().unwrap()).unwrap()).collect()
}

async fn pid(client: &Client) -> u32 {
    client.call("stuck.pid", ()).wait_for_ready().timeout(DEADLINE).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_past_its_hard_limit_ends_its_own_process_and_no_other_call() {
    let broker = Broker::start();
    let pool = stuck_pool(&broker, 2);
    let before = pids(&broker);
    let client = broker.client().await;
    let error = client.call::<()>("stuck.spin", ()).timeout(DEADLINE).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
    // `yes` if the worker had reported the start of the handler.
    assert_ne!(error.executed(), Executed::No, "{error}");
    assert!(error.message().contains("hard limit"), "{error}");
    pool.stderr.wait_for("stuck");
    // Meanwhile, a worker that the broker considers responsive answers the other calls.
    pid(&client).await;
    let gone = until("the stuck process is gone", || before.iter().copied().find(|pid| !is_alive(*pid)));
    let after = until("another process replaces it", || {
        Some(pids(&broker)).filter(|pids| pids.len() == 2 && !pids.contains(&gone))
    });
    assert_eq!(before.iter().filter(|pid| after.contains(pid)).count(), 1, "{before:?} became {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_process_that_was_stopped_is_replaced_and_its_calls_end() {
    let broker = Broker::start();
    let pool = stuck_pool(&broker, 1);
    let client = broker.client().await;
    let stopped = pid(&client).await;
    signal(stopped, Signal::STOP);
    // The call waits at the stopped process, is lost with it, and is answered by its replacement.
    assert_ne!(pid(&client).await, stopped);
    pool.stderr.wait_for("replacing a worker process that does not reconnect");
    assert!(!is_alive(stopped));
}
