//! Callbacks run exactly once, in order, on a thread of their own.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use callboard_clients::{CallError, Client, Code};
use callboard_core::wire::{
    envelope::Request,
    status::{Executed, Failure},
};

use super::{broker::Broker, builder, connected, connected_with, run};

/// Receives `count` requests from the client.
async fn requests(broker: &mut Broker, count: usize) -> Vec<Request> {
    let mut requests = Vec::new();
    for _ in 0..count {
        requests.push(broker.request().await);
    }
    requests
}

/// Waits for what a callback sends, without blocking the test's only thread.
async fn next<T: Send + 'static>(outcomes: &Arc<Mutex<mpsc::Receiver<T>>>) -> T {
    let outcomes = Arc::clone(outcomes);
    tokio::task::spawn_blocking(move || outcomes.lock().unwrap().recv().unwrap()).await.unwrap()
}

fn channel<T>() -> (mpsc::SyncSender<T>, Arc<Mutex<mpsc::Receiver<T>>>) {
    let (sender, receiver) = mpsc::sync_channel(8);
    (sender, Arc::new(Mutex::new(receiver)))
}

#[test]
fn callbacks_run_in_the_order_of_the_outcomes() {
    run(async {
        let (mut broker, client) = connected().await;
        let (sender, outcomes) = channel();
        for index in 0..3 {
            let sender = sender.clone();
            let callback = move |result: Result<u32, CallError>| {
                sender.send((index, result.map_err(|error| error.code()))).unwrap()
            };
            client.call("a.b", ()).on_complete(callback).await.unwrap();
        }
        let requests = requests(&mut broker, 3).await;
        broker.answer(&requests[2], 7).await;
        broker.fail(&requests[0], Failure::new(Code::Aborted, Executed::Yes, "no")).await;
        broker.answer(&requests[1], 8).await;
        assert_eq!(next(&outcomes).await, (2, Ok(7)));
        assert_eq!(next(&outcomes).await, (0, Err(Code::Aborted)));
        assert_eq!(next(&outcomes).await, (1, Ok(8)));
    });
}

#[test]
fn a_panicking_callback_affects_no_other_callback() {
    run(async {
        let (mut broker, client) = connected().await;
        let (sender, outcomes) = channel();
        client
            .call("a.b", ())
            .on_complete(|_: Result<(), CallError>| panic!("a callback of a test panics"))
            .await
            .unwrap();
        client
            .call("a.b", ())
            .on_complete(move |result: Result<u32, CallError>| sender.send(result).unwrap())
            .await
            .unwrap();
        for request in requests(&mut broker, 2).await {
            broker.answer(&request, 1).await;
        }
        assert_eq!(next(&outcomes).await, Ok(1));
        let (closed, ()) = tokio::join!(client.close(), broker.goodbye());
        closed.unwrap();
        assert_eq!((client.statistics().callbacks_run, client.statistics().callbacks_panicked), (2, 1));
    });
}

#[test]
fn a_slow_callback_delays_neither_heartbeats_nor_calls() {
    run(async {
        let (mut broker, client) = connected_with(|builder| builder.heartbeat(Duration::from_millis(10))).await;
        let (release, released) = mpsc::sync_channel::<()>(1);
        let callback = move |_: Result<(), CallError>| released.recv().unwrap();
        client.call("a.slow", ()).on_complete(callback).await.unwrap();
        let request = broker.request().await;
        broker.answer(&request, ()).await;
        let before = broker.pings;
        while broker.pings < before + 5 {
            tokio::select! {
                () = broker.idle() => {}
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
        }
        let script = async {
            let request = broker.request().await;
            broker.answer(&request, 5).await;
        };
        assert_eq!(tokio::join!(client.call::<u32>("a.b", ()).into_future(), script).0, Ok(5));
        assert_eq!(client.statistics().callbacks_run, 0);
        release.send(()).unwrap();
    });
}

#[test]
fn a_callback_may_use_the_client() {
    run(async {
        let (mut broker, client) = connected().await;
        let (sender, outcomes) = channel();
        let inner = client.clone();
        let callback = move |_: Result<(), CallError>| {
            inner.call("a.cast", ()).try_cast().unwrap();
            // Blocks on a call, with an executor of its own.
            let sum: u32 = futures::executor::block_on(inner.call("a.block", ()).into_future()).unwrap();
            inner
                .call("a.then", ())
                .try_on_complete(move |last: Result<u32, CallError>| sender.send((sum, last)).unwrap())
                .unwrap();
        };
        client.call("a.first", ()).on_complete(callback).await.unwrap();
        for (name, result) in [("first", None), ("cast", None), ("block", Some(1)), ("then", Some(2))] {
            let request = broker.request().await;
            assert_eq!(request.method.method(), name);
            if !request.flags.cast {
                broker.answer(&request, result).await;
            }
        }
        assert_eq!(next(&outcomes).await, (1, Ok(2)));
    });
}

/// Makes three calls with callbacks: one is answered, one is open, one waits for credit. Then `end` ends the client.
async fn outcomes_at(end: impl AsyncFnOnce(&mut Broker, Client)) -> Vec<(u32, Result<u32, Code>)> {
    let mut broker = Broker::start().await;
    broker.credit_calls = 2;
    let (client, _) = tokio::join!(builder(broker.address.clone()).connect(), broker.welcome());
    let client = client.unwrap();
    let (sender, receiver) = mpsc::sync_channel(8);
    for index in 0..3 {
        let sender = sender.clone();
        let callback =
            move |result: Result<u32, CallError>| sender.send((index, result.map_err(|error| error.code()))).unwrap();
        client.call("a.b", ()).on_complete(callback).await.unwrap();
    }
    drop(sender);
    let requests = requests(&mut broker, 2).await;
    broker.answer(&requests[0], 5).await;
    end(&mut broker, client).await;
    // Ends when every callback is dropped.
    tokio::task::spawn_blocking(move || receiver.into_iter().collect()).await.unwrap()
}

const ENDED: [(u32, Result<u32, Code>); 3] = [(0, Ok(5)), (1, Err(Code::Cancelled)), (2, Err(Code::Cancelled))];

#[test]
fn a_close_runs_every_pending_callback_with_cancelled() {
    run(async {
        let outcomes = outcomes_at(async |broker, client| {
            while client.statistics().callbacks_run == 0 {
                tokio::task::yield_now().await;
            }
            tokio::join!(client.close(), broker.goodbye()).0.unwrap();
        });
        assert_eq!(outcomes.await, ENDED);
    });
}

#[test]
fn dropping_the_last_handle_runs_every_pending_callback_with_cancelled() {
    run(async {
        let outcomes = outcomes_at(async |broker, client| {
            while client.statistics().callbacks_run == 0 {
                tokio::task::yield_now().await;
            }
            drop(client.clone());
            drop(client);
            broker.goodbye().await;
        });
        assert_eq!(outcomes.await, ENDED);
    });
}
