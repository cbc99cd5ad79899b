//! Handlers that make calls: a nested call has at most the remaining time of the outer call, and is cancelled with it.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use callboard::{Client, Code, Context, RunningWorker, Service, Worker, blocking};

use crate::harness::{Broker, DEADLINE};

/// The timeout of the outermost call: far below the default of 30 s, and far above the time that it needs.
const BUDGET: Duration = Duration::from_secs(20);

/// Starts a worker that serves `service` until the test ends.
async fn serve(broker: &Broker, service: Service) -> RunningWorker {
    let mut worker = Worker::new().backend(&broker.backend).serve(service).start().unwrap();
    worker.registered().await.unwrap();
    worker
}

/// Returns the remaining time of a call in milliseconds.
fn remaining_ms(context: &Context) -> u64 {
    let deadline = context.deadline().expect("each of these calls has a deadline");
    u64::try_from(deadline.saturating_duration_since(std::time::Instant::now()).as_millis()).unwrap()
}

/// A service whose method calls itself through the broker `more` times, and returns the remaining time at each call.
fn hops(client: Client) -> Service {
    let hop = move |context: Context, more: u32| {
        let client = client.clone();
        async move {
            let mut budgets = vec![remaining_ms(&context)];
            if more > 0 {
                // Its own timeout is longer than the remaining time.
                let inner = client.call::<Vec<u64>>("hops.hop", (more - 1,)).timeout(Duration::from_secs(600));
                budgets.extend(inner.await.map_err(|error| error.to_string())?);
            }
            Ok::<_, String>(budgets)
        }
    };
    Service::new("hops").read("hop", ["more"], hop)
}

#[tokio::test(flavor = "multi_thread")]
async fn over_three_hops_the_budget_shrinks() {
    let broker = Broker::start();
    let client = broker.client().await;
    let _worker = serve(&broker, hops(client.clone())).await;
    let call = client.call::<Vec<u64>>("hops.hop", (2,)).timeout(BUDGET).wait_for_ready();
    let budgets = call.await.unwrap();
    assert_eq!(budgets.len(), 3);
    assert!(u128::from(budgets[0]) <= BUDGET.as_millis(), "{budgets:?}");
    assert!(budgets.is_sorted_by(|outer, inner| outer >= inner), "{budgets:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spawned_task_carries_the_budget_on_and_a_plain_one_does_not() {
    let broker = Broker::start();
    let client = broker.client().await;
    let inner = client.clone();
    let both = move |context: Context| {
        let client = inner.clone();
        async move {
            let hop = |client: Client| async move { client.call::<Vec<u64>>("hops.hop", (0,)).no_timeout().await };
            let carried = context.spawn(hop(client.clone())).await.unwrap().expect("the call was not cancelled");
            let plain = tokio::spawn(async move {
                client.call::<Vec<u64>>("hops.hop", (0,)).timeout(Duration::from_secs(600)).await
            });
            let (carried, plain) =
                (carried.map_err(|e| e.to_string())?, plain.await.unwrap().map_err(|e| e.to_string())?);
            Ok::<_, String>((carried[0], plain[0]))
        }
    };
    let _hops = serve(&broker, hops(client.clone())).await;
    let _outer = serve(&broker, Service::new("outer").read("both", [], both)).await;
    let call = client.call::<(u64, u64)>("outer.both", ()).timeout(BUDGET).wait_for_ready();
    let (carried, plain) = call.await.unwrap();
    assert!(u128::from(carried) <= BUDGET.as_millis(), "{carried}");
    assert!(u128::from(plain) > BUDGET.as_millis(), "{plain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_call_cancels_the_nested_calls_of_its_handlers() {
    let broker = Broker::start();
    let client = broker.client().await;
    // The innermost handler waits until it is dropped, which closes its channel.
    let (begun, inner_began) = mpsc::sync_channel(8);
    let (ended, inner_ended) = mpsc::sync_channel::<()>(0);
    let ended = Arc::new(Mutex::new(Some(ended)));
    let wait = move || {
        let held = ended.lock().unwrap().take();
        begun.send(()).unwrap();
        async move {
            std::future::pending::<()>().await;
            drop(held);
        }
    };
    // The middle handler is blocking, so it cannot be dropped.
    let frontend = broker.frontend.clone();
    let (sender, receiver) = mpsc::sync_channel(8);
    let block = move || {
        let client = blocking::Client::connect(&frontend).map_err(|error| error.to_string())?;
        let outcome = client.call::<()>("inner.wait", ()).no_timeout().wait();
        sender.send(outcome.unwrap_err().code()).map_err(|error| error.to_string())
    };
    let _inner = serve(&broker, Service::new("inner").read("wait", [], wait)).await;
    let _middle = serve(&broker, Service::new("middle").read("block", [], block)).await;
    let mut call = Box::pin(client.call::<()>("middle.block", ()).wait_for_ready().into_future());
    let began = tokio::task::spawn_blocking(move || inner_began.recv_timeout(DEADLINE));
    tokio::select! {
        outcome = &mut call => panic!("the call ended: {outcome:?}"),
        began = began => began.unwrap().unwrap(),
    }
    drop(call);
    let waited =
        tokio::task::spawn_blocking(move || (receiver.recv_timeout(DEADLINE), inner_ended.recv_timeout(DEADLINE)));
    let (code, dropped) = waited.await.unwrap();
    assert_eq!(code.unwrap(), Code::Cancelled);
    assert_eq!(dropped, Err(mpsc::RecvTimeoutError::Disconnected), "the innermost handler was dropped");
}
