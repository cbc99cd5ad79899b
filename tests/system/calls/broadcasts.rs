//! One call to every worker of a service.

use std::{collections::BTreeSet, time::Duration};

use callboard::{Answers, Code, Executed};
use rustix::process::Signal;
use serde::Deserialize;

use crate::harness::{Broker, Pool, signal};

#[derive(Debug, Deserialize)]
struct Found {
    value: u64,
    pid: u32,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcast_returns_the_answer_of_each_worker_of_a_pool() {
    let broker = Broker::start();
    let pool = Pool::start(&broker, 4);
    let pids: BTreeSet<u32> = pool.pids(&broker).into_iter().collect();
    let client = broker.client().await;
    let answers: Answers<Found> = client.call("jobs.collatz", (27,)).broadcast().await.unwrap();
    assert_eq!(answers.len(), 4);
    let found = answers.all().unwrap();
    assert!(found.iter().all(|found| found.value == 111), "{found:?}");
    assert_eq!(found.into_iter().map(|found| found.pid).collect::<BTreeSet<_>>(), pids);
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcast_returns_the_answers_that_arrived_before_its_timeout() {
    let broker = Broker::start();
    let pool = Pool::start(&broker, 3);
    let pids = pool.pids(&broker);
    let client = broker.client().await;
    signal(pids[0], Signal::STOP);
    let call = client.call::<Found>("jobs.collatz", (27,)).timeout(Duration::from_secs(2));
    let answers = call.broadcast().await.unwrap();
    signal(pids[0], Signal::CONT);
    let (succeeded, failed): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.result.is_ok());
    assert_eq!((succeeded.len(), failed.len()), (2, 1), "{failed:?}");
    let error = failed[0].result.as_ref().unwrap_err();
    assert_eq!((error.code(), error.executed()), (Code::DeadlineExceeded, Executed::Maybe), "{error}");
    client.close().await.unwrap();
}

#[test]
fn the_command_prints_a_line_for_each_worker_and_the_failures() {
    let broker = Broker::start();
    let _pool = Pool::start(&broker, 3);
    let printed = broker.call(&["jobs.collatz", "27", "--broadcast"]).printed();
    assert_eq!(
        printed.lines().filter(|line| line.starts_with("jobs-") && line.contains("111")).count(),
        3,
        "{printed}"
    );
    let stderr = broker.call(&["jobs.collatz", "0", "--broadcast"]).failed(1);
    assert_eq!(stderr.lines().filter(|line| line.starts_with("jobs-")).count(), 3, "{stderr}");
    assert_eq!(stderr.lines().last(), Some("error: 3 of 3 workers failed"));
    broker.call(&["jobs.collatz", "27", "--broadcast", "--cast"]).printed();
    broker.call(&["jobs.collatz", "27", "--broadcast", "--key", "a"]).failed(2);
    broker.call(&["missing.method", "--broadcast"]).failed_with(1, &["UNAVAILABLE"]);
    broker.call(&["callboard.status", "--broadcast"]).failed_with(1, &["INVALID_ARGUMENT"]);
}
