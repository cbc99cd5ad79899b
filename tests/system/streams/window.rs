//! The buffered bytes of a stream that is not read: at most its window.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use callboard::{
    Client, Error, Incoming, Outgoing, RunningWorker, Service, Stream, Worker,
    core::wire::limits::{STREAM_BYTES, STREAM_ITEMS},
};
use futures::stream;
use serde_bytes::ByteBuf;
use tokio::sync::Semaphore;

use crate::harness::{Broker, DEADLINE, until_async};

/// The bytes of an item that reaches both limits of the window at the same time. With its CBOR head of two bytes it has 256.
const ITEM_BYTES: usize = (STREAM_BYTES / STREAM_ITEMS as u64) as usize - 2;
/// The number of items of a stream. For a million: `CALLBOARD_STREAM_ITEMS=1000000 cargo test --release --test system streams::window`.
const ITEMS: u64 = 20_000;

/// The counters of the worker's functions.
#[derive(Default)]
struct Counters {
    /// Items that the library took from the handler's stream.
    drawn: AtomicU64,
    /// The maximum of the unread bytes of a handler.
    held: AtomicU64,
}

/// A broker in its own process, and a worker and a client in the test's process.
struct Scene {
    client: Client,
    done: Arc<Counters>,
    /// `drink` begins to read when it gets a permit.
    read: Arc<Semaphore>,
    _worker: RunningWorker,
    _broker: Broker,
}

impl Scene {
    async fn start() -> Scene {
        let (done, read) = (Arc::<Counters>::default(), Arc::new(Semaphore::new(0)));
        let broker = Broker::start();
        let worker = Worker::new().backend(&broker.backend).serve(service(&done, &read)).start().unwrap();
        broker.wait_for_service("bytes");
        Scene { client: broker.client().await, done, read, _worker: worker, _broker: broker }
    }

    /// Makes other calls. Their round trips give a stream the time to send more than its window, if it could.
    async fn many_other_calls(&self) {
        for number in 0..200 {
            assert_eq!(self.client.call::<u64>("bytes.echo", (number,)).await.unwrap(), number);
        }
    }
}

fn service(done: &Arc<Counters>, read: &Arc<Semaphore>) -> Service {
    let (drawing, reading, read) = (Arc::clone(done), Arc::clone(done), Arc::clone(read));
    Service::new("bytes")
        .read("echo", ["number"], async |number: u64| number)
        .read("pour", ["items"], move |items: u64| {
            let done = Arc::clone(&drawing);
            async move { pour(items, done) }
        })
        .read("drink", [], move |items: Incoming<ByteBuf>| drink(items, Arc::clone(&reading), Arc::clone(&read)))
}

fn pour(items: u64, done: Arc<Counters>) -> Outgoing<impl Stream<Item = callboard::Reply<ByteBuf>>> {
    let items = (0..items).map(move |_| {
        done.drawn.fetch_add(1, Ordering::AcqRel);
        callboard::Reply(item())
    });
    Outgoing::new(stream::iter(items))
}

/// Reads no item until it gets a permit.
async fn drink(mut items: Incoming<ByteBuf>, done: Arc<Counters>, read: Arc<Semaphore>) -> Result<u64, Error> {
    let mut count = 0;
    let note = |items: &Incoming<ByteBuf>| done.held.fetch_max(items.unread_bytes(), Ordering::AcqRel);
    while read.try_acquire().is_err() {
        note(&items);
        tokio::task::yield_now().await;
    }
    while let Some(item) = items.next().await {
        count += u64::from(item?.len() == ITEM_BYTES);
        note(&items);
    }
    Ok(count)
}

fn item() -> ByteBuf {
    ByteBuf::from(vec![7; ITEM_BYTES])
}

fn items() -> u64 {
    env::var("CALLBOARD_STREAM_ITEMS").map_or(ITEMS, |items| items.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_does_not_read_stops_the_handler_at_its_window() {
    let scene = Scene::start().await;
    let mut poured = scene.client.call::<()>("bytes.pour", (items(),)).no_timeout().stream::<ByteBuf>();
    until_async("the window is full", async || {
        tokio::task::yield_now().await;
        poured.unread_bytes() >= STREAM_BYTES
    })
    .await;
    scene.many_other_calls().await;
    assert_eq!(poured.unread_bytes(), STREAM_BYTES);
    // One more item was taken from the handler's stream and waits to be sent.
    assert_eq!(scene.done.drawn.load(Ordering::Acquire), u64::from(STREAM_ITEMS) + 1);
    let (mut count, mut held) = (0, 0);
    while let Some(item) = poured.next().await {
        count += u64::from(item.unwrap().len() == ITEM_BYTES);
        held = held.max(poured.unread_bytes());
    }
    assert_eq!(count, items());
    assert!(held <= STREAM_BYTES, "{held}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_does_not_read_stops_the_caller_at_its_window() {
    let scene = Scene::start().await;
    let (mut sender, count) = scene.client.call::<u64>("bytes.drink", ()).no_timeout().upload::<ByteBuf>();
    let sent = Arc::new(AtomicU64::new(0));
    let (counting, all) = (Arc::clone(&sent), items());
    let sending = tokio::spawn(async move {
        let item = item();
        for _ in 0..all {
            sender.send(&item).await.unwrap();
            counting.fetch_add(1, Ordering::AcqRel);
        }
        sender.end();
    });
    until_async("the window is full", async || {
        tokio::task::yield_now().await;
        scene.done.held.load(Ordering::Acquire) >= STREAM_BYTES
    })
    .await;
    scene.many_other_calls().await;
    assert_eq!(sent.load(Ordering::Acquire), u64::from(STREAM_ITEMS));
    scene.read.add_permits(1);
    assert_eq!(tokio::time::timeout(10 * DEADLINE, count).await.unwrap().unwrap(), all);
    sending.await.unwrap();
    assert_eq!(scene.done.held.load(Ordering::Acquire), STREAM_BYTES, "never more than the window");
}
