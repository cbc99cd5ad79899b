//! Callbacks: each runs exactly once, with one outcome, also after failures.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use callboard::{CallError, Client, Code};
use serde::de::IgnoredAny;

use crate::harness::{Broker, DEADLINE, Pool};

type Outcome = Result<IgnoredAny, CallError>;

struct Scene {
    broker: Broker,
    _pool: Pool,
    sender: SyncSender<Outcome>,
    outcomes: Receiver<Outcome>,
}

impl Scene {
    fn start() -> Scene {
        let broker = Broker::start();
        let pool = Pool::start(&broker, 1);
        let (sender, outcomes) = sync_channel(256);
        Scene { broker, _pool: pool, sender, outcomes }
    }

    /// Makes `calls` calls that do not end by themselves.
    async fn call_forever(&self, client: &Client, calls: usize) {
        for _ in 0..calls {
            let sender = self.sender.clone();
            let callback = move |outcome| sender.send(outcome).unwrap();
            client.call("jobs.pause", (600_000,)).no_timeout().on_complete(callback).await.unwrap();
        }
    }

    /// Asserts that exactly this number of callbacks run with CANCELLED.
    fn all_cancelled(self, calls: usize) {
        for _ in 0..calls {
            let error = self.outcomes.recv_timeout(DEADLINE).unwrap().unwrap_err();
            assert_eq!(error.code(), Code::Cancelled, "{error}");
        }
        drop(self.sender);
        assert!(self.outcomes.recv_timeout(DEADLINE).is_err(), "a callback ran twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_the_client_runs_every_pending_callback_with_cancelled() {
    let scene = Scene::start();
    let client = scene.broker.client().await;
    scene.call_forever(&client, 100).await;
    client.close().await.unwrap();
    scene.all_cancelled(100);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_last_handle_runs_every_pending_callback_with_cancelled() {
    let scene = Scene::start();
    let client = scene.broker.client().await;
    scene.call_forever(&client, 100).await;
    drop(client);
    scene.all_cancelled(100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_panics_affects_no_other() {
    let scene = Scene::start();
    let client = scene.broker.client().await;
    let panicking = |_: Outcome| panic!("a bug in the callback");
    client.call("jobs.collatz", (27,)).on_complete(panicking).await.unwrap();
    let sender = scene.sender.clone();
    client.call("jobs.collatz", (27,)).on_complete(move |outcome| sender.send(outcome).unwrap()).await.unwrap();
    scene.outcomes.recv_timeout(DEADLINE).unwrap().unwrap();
    client.call::<IgnoredAny>("jobs.collatz", (27,)).await.unwrap();
    client.close().await.unwrap();
    let statistics = client.statistics();
    assert_eq!((statistics.callbacks_run, statistics.callbacks_panicked), (2, 1));
}
