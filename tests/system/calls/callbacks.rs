//! Callbacks: exactly one outcome each, exactly once, whatever happens.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use callboard::{CallError, Client, Code};
use serde::de::IgnoredAny;

use crate::harness::{Broker, DEADLINE, Pool};

type Outcome = Result<IgnoredAny, CallError>;

struct Scene {
    broker: Broker,
    _pool: Pool,
    told: SyncSender<Outcome>,
    outcomes: Receiver<Outcome>,
}

impl Scene {
    fn start() -> Scene {
        let broker = Broker::start();
        let pool = Pool::start(&broker, 1);
        let (told, outcomes) = sync_channel(256);
        Scene { broker, _pool: pool, told, outcomes }
    }

    /// Makes so many calls that never end by themselves.
    async fn call_forever(&self, client: &Client, calls: usize) {
        for _ in 0..calls {
            let told = self.told.clone();
            let callback = move |outcome| told.send(outcome).unwrap();
            client.call("jobs.pause", (600_000,)).no_timeout().on_complete(callback).await.unwrap();
        }
    }

    /// So many callbacks run with CANCELLED, and no more.
    fn all_cancelled(self, calls: usize) {
        for _ in 0..calls {
            let error = self.outcomes.recv_timeout(DEADLINE).unwrap().unwrap_err();
            assert_eq!(error.code(), Code::Cancelled, "{error}");
        }
        drop(self.told);
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
    let panicking = |_: Outcome| panic!("a callback's own fault");
    client.call("jobs.collatz", (27,)).on_complete(panicking).await.unwrap();
    let told = scene.told.clone();
    client.call("jobs.collatz", (27,)).on_complete(move |outcome| told.send(outcome).unwrap()).await.unwrap();
    scene.outcomes.recv_timeout(DEADLINE).unwrap().unwrap();
    client.call::<IgnoredAny>("jobs.collatz", (27,)).await.unwrap();
    client.close().await.unwrap();
    let statistics = client.statistics();
    assert_eq!((statistics.callbacks_run, statistics.callbacks_panicked), (2, 1));
}
