//! The behaviour of handlers: panics, cancellation, deadlines. The worker runs in the test's process, the broker does not.

use std::{
    thread,
    time::{Duration, Instant},
};

use callboard::{Client, Code, Context, Executed, Service, Worker};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::harness::{Broker, DEADLINE};

/// Short, so that a test can block for many heartbeats; long enough that a busy machine does not miss three of them.
const HEARTBEAT: Duration = Duration::from_millis(400);
/// Ten heartbeats.
const LONG: Duration = Duration::from_secs(4);

/// Starts a broker and a worker with this service, and connects a client.
async fn scene(service: Service) -> (Broker, Client) {
    let broker = Broker::start();
    let mut worker = Worker::new().backend(&broker.backend).heartbeat(HEARTBEAT).serve(service).start().unwrap();
    worker.registered().await.unwrap();
    let client = broker.client().await;
    (broker, client)
}

async fn next<T>(receiver: &mut Receiver<T>) -> T {
    tokio::time::timeout(DEADLINE, receiver.recv()).await.expect("no event before the deadline").unwrap()
}

/// Sends `dropped` when it is dropped.
struct Dropped(Sender<&'static str>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.try_send("dropped").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_call_drops_its_async_handler() {
    let (sender, mut events) = channel(8);
    let forever = move || {
        let sender = sender.clone();
        async move {
            let _dropped = Dropped(sender.clone());
            sender.send("began").await.unwrap();
            std::future::pending::<()>().await;
        }
    };
    let (_broker, client) = scene(Service::new("test").once("forever", [], forever)).await;
    let call = tokio::spawn(client.call::<()>("test.forever", ()).no_timeout().into_future());
    assert_eq!(next(&mut events).await, "began");
    call.abort();
    assert_eq!(next(&mut events).await, "dropped");
    // A handler whose deadline has passed is dropped too, and its slot is free again.
    let late = client.call::<()>("test.forever", ()).timeout(Duration::from_millis(300)).await.unwrap_err();
    assert_eq!((late.code(), late.executed()), (Code::DeadlineExceeded, Executed::Yes), "{late}");
    assert_eq!(next(&mut events).await, "began");
    assert_eq!(next(&mut events).await, "dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_handler_can_check_that_its_call_was_cancelled() {
    let (sender, mut events) = channel(8);
    let until_cancelled = move |context: Context| {
        sender.blocking_send("began").unwrap();
        // The runtime's shutdown waits for this thread, also after a failure, so the loop must be bounded.
        let began = Instant::now();
        while !context.is_cancelled() && began.elapsed() < 2 * DEADLINE {
            thread::sleep(Duration::from_millis(1));
        }
        sender.blocking_send("cancelled").unwrap();
    };
    let (_broker, client) = scene(Service::new("test").once("wait", [], until_cancelled)).await;
    let call = tokio::spawn(client.call::<()>("test.wait", ()).no_timeout().into_future());
    assert_eq!(next(&mut events).await, "began");
    call.abort();
    assert_eq!(next(&mut events).await, "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_blocks_for_long_does_not_disconnect_its_worker() {
    let blocking = |context: Context| {
        thread::sleep(LONG);
        context.attempt()
    };
    // A blocking call in async code is a bug of the handler, but the connection stays alive.
    let stubborn = |context: Context| async move {
        let began = Instant::now();
        while began.elapsed() < LONG {}
        context.attempt()
    };
    let service = Service::new("test").read("blocking", [], blocking).read("stubborn", [], stubborn);
    let (broker, client) = scene(service).await;
    assert_eq!(client.call::<u32>("test.blocking", ()).await.unwrap(), 1);
    assert_eq!(client.call::<u32>("test.stubborn", ()).await.unwrap(), 1);
    assert!(!broker.process.stderr.so_far().contains("lost"), "{}", broker.process.stderr.so_far());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_only_its_own_call() {
    fn blocking(x: u32) -> u32 {
        if x == 0 { panic!("no {x} here") } else { x }
    }
    async fn later(x: u32) -> u32 {
        tokio::task::yield_now().await;
        blocking(x)
    }
    let service = Service::new("test").once("blocking", ["x"], blocking).once("later", ["x"], later);
    let (_broker, client) = scene(service).await;
    for method in ["test.blocking", "test.later"] {
        let error = client.call::<u32>(method, (0,)).await.unwrap_err();
        assert_eq!((error.code(), error.executed()), (Code::Internal, Executed::Yes), "{error}");
        assert!(error.message().contains("no 0 here"), "{error}");
        assert_eq!(client.call::<u32>(method, (5,)).await.unwrap(), 5);
    }
}
