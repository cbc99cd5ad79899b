//! Clients and workers whose connection is a task of the program's runtime.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use callboard::{CallError, Client, Code, Outgoing, Reply, Service, Worker};
use futures::{future::join_all, stream};
use serde_json::Value;
use tokio::{runtime::Builder, sync::oneshot};

use crate::harness::{Broker, DEADLINE, until};

/// Short, so that a test can wait until three of them have passed.
const HEARTBEAT: Duration = Duration::from_millis(100);

fn calculator() -> Service {
    Service::new("calculator")
        .slots(100)
        .read("double", ["number"], async |number: u32| Reply(number * 2))
        .read("square", ["number"], |number: u32| number * number)
        .read("count", ["to"], async |to: u32| Outgoing::new(stream::iter(0..to)))
}

#[tokio::test]
async fn an_inline_worker_serves_an_inline_client_on_the_same_thread() {
    let broker = Broker::start();
    let mut worker = Worker::new().backend(&broker.backend).serve(calculator()).inline().start().unwrap();
    worker.registered().await.unwrap();
    let client = Client::builder(&broker.frontend).timeout(DEADLINE).inline().connect().await.unwrap();

    let calls = (0..300_u32).map(|number| {
        let method = if number % 2 == 0 { "calculator.double" } else { "calculator.square" };
        client.call::<u32>(method, (number,)).into_future()
    });
    for (number, result) in (0..).zip(join_all(calls).await) {
        assert_eq!(result.unwrap(), if number % 2 == 0 { number * 2 } else { number * number });
    }
    let (sender, outcome) = oneshot::channel();
    let callback = move |result: Result<u32, CallError>| sender.send(result).unwrap();
    client.call("calculator.double", (4,)).on_complete(callback).await.unwrap();
    assert_eq!(outcome.await.unwrap().unwrap(), 8);
    let mut stream = client.call::<()>("calculator.count", (1000,)).stream::<u32>();
    for number in 0..1000 {
        assert_eq!(stream.next().await.unwrap().unwrap(), number);
    }
    assert!(stream.next().await.is_none());

    worker.shutdown(DEADLINE).await;
    worker.stopped().await.unwrap();
    client.close().await.unwrap();
}

#[tokio::test]
async fn a_call_of_an_inline_client_runs_once_although_the_runtime_was_blocked() {
    let broker = Broker::start();
    let runs = Arc::new(AtomicUsize::new(0));
    let worker = worker_on_another_thread(&broker, &runs);
    let client = Client::builder(&broker.frontend).name("blocked").timeout(DEADLINE).heartbeat(HEARTBEAT).inline();
    let client = client.connect().await.unwrap();
    let answered: u32 = client.call("test.run", (1,)).await.unwrap();
    let call = tokio::spawn(client.call::<u32>("test.run", (2,)).into_future());
    // The call is written by the driver's task. After that this thread is blocked until the broker has lost the client.
    while client.statistics().open == 0 {
        tokio::task::yield_now().await;
    }
    until("the call runs", || (runs.load(Ordering::SeqCst) == 2).then_some(()));
    until("the broker has lost the client", || is_disconnected(&broker, "blocked").then_some(()));
    let outcome = call.await.unwrap().unwrap();
    assert_eq!((answered, outcome), (1, 2));
    assert_eq!(runs.load(Ordering::SeqCst), 2, "each call runs once");
    let next: u32 = client.call("test.run", (3,)).await.unwrap();
    assert_eq!((next, runs.load(Ordering::SeqCst)), (3, 3), "the client connects again");
    drop(worker);
}

#[test]
fn an_inline_client_ends_with_its_runtime() {
    let broker = Broker::start();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let client = Client::builder(&broker.frontend).inline();
    let client = runtime.block_on(client.connect()).unwrap();
    drop(runtime);
    let error = client.call::<()>("a.b", ()).try_cast().unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
}

#[test]
fn an_inline_client_without_a_runtime_is_an_error() {
    let error = Client::builder("tcp://127.0.0.1:1").inline().connect_lazily().unwrap_err();
    assert!(error.to_string().contains("runtime"), "{error}");
    let error = Client::builder("tcp://127.0.0.1:1").inline().timeout(HEARTBEAT).connect_blocking().unwrap_err();
    assert!(error.to_string().contains("no broker accepted this client"), "a blocking client has a thread: {error}");
}

/// Starts a worker that counts its runs of `test.run`, on a thread and a runtime of its own. It ends when the sender is dropped.
fn worker_on_another_thread(broker: &Broker, runs: &Arc<AtomicUsize>) -> oneshot::Sender<()> {
    let runs = Arc::clone(runs);
    let service = Service::new("test").once("run", ["number"], move |number: u32| {
        runs.fetch_add(1, Ordering::SeqCst);
        number
    });
    let worker = Worker::new().backend(&broker.backend).serve(service);
    let (end, ended) = oneshot::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(worker.run_until(async { drop(ended.await) })).unwrap();
    });
    broker.wait_for_service("test");
    end
}

fn is_disconnected(broker: &Broker, client: &str) -> bool {
    let status: Value = serde_json::from_str(&broker.command(&["status", "--json"]).printed()).unwrap();
    let callers = status["broker"]["callers"].as_array().unwrap();
    callers.iter().any(|caller| caller["name"] == client && caller["connected"] == false)
}
