//! A broker that is killed and restarted at the same addresses.

use std::time::Duration;

use callboard::{Code, Effect, Executed};
use rustix::process::Signal;
use serde::de::IgnoredAny;
use tokio::time::timeout;

use crate::harness::{Broker, DEADLINE, Load, Pool};

#[tokio::test(flavor = "multi_thread")]
async fn all_peers_reconnect_to_a_broker_killed_under_load_and_no_call_stays_open() {
    let mut load = Load::start(2).await;
    for _ in 0..2 {
        load.wait_for_outcomes(1_000);
        load.broker.kill_and_start_again();
    }
    load.wait_for_outcomes(1_000);
    load.assert_no_restarts();
    load.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_drains_under_load_rejects_new_calls_and_finishes_running_ones() {
    let mut load = Load::start(2).await;
    load.wait_for_outcomes(1_000);
    load.broker.process.signal(Signal::TERM);
    assert_eq!(load.broker.process.exit_code(), 0);
    load.broker = Broker::start_at(&load.broker.frontend, &load.broker.backend);
    load.wait_for_outcomes(1_000);
    load.assert_no_restarts();
    load.end_after_refusals().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_once_call_ends_when_its_broker_is_killed() {
    let mut broker = Broker::start();
    let _pool = Pool::start(&broker, 1);
    let client = broker.client().await;
    let call = client.call::<IgnoredAny>("jobs.pause", (600_000,)).effect(Effect::Once).timeout(DEADLINE);
    let call = tokio::spawn(call.into_future());
    broker.wait_for_running_call();
    broker.kill_and_start_again();
    let error = call.await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.executed()), (Code::Unavailable, Executed::Maybe), "{error}");
    assert_eq!(client.statistics().connections, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_made_without_a_broker_are_sent_when_it_is_back() {
    let mut broker = Broker::start();
    let _pool = Pool::start(&broker, 1);
    let client = broker.client().await;
    broker.process.kill();
    let calls = (1..=100u64).map(|start| client.call::<IgnoredAny>("jobs.collatz", (start,)).wait_for_ready());
    let calls: Vec<_> = calls.map(|call| tokio::spawn(call.into_future())).collect();
    broker = Broker::start_at(&broker.frontend, &broker.backend);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    drop(broker);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_at_its_timeout_if_the_broker_never_comes_back() {
    let mut broker = Broker::start();
    let _pool = Pool::start(&broker, 1);
    let client = broker.client().await;
    broker.process.kill();
    let call = client.call::<IgnoredAny>("jobs.collatz", (27,)).timeout(Duration::from_millis(500));
    let error = timeout(DEADLINE, call.into_future()).await.expect("the call ends at its timeout").unwrap_err();
    assert_eq!((error.code(), error.executed()), (Code::DeadlineExceeded, Executed::No), "{error}");
}
