//! The processes of a measurement, each on a runtime of one thread.

use std::{future::Future, time::Duration};

use anyhow::{Context, ensure};
use callboard::{
    Client, Error, Incoming, Outgoing, Reply, Service, Worker,
    broker::{RunningBroker, Settings},
};
use futures::{Stream, future, stream};
use serde_bytes::ByteBuf;
use tokio::runtime::Builder;

use crate::{Direction, Load};

/// The pause between two items of the slow reader.
const SLOW_PAUSE: Duration = Duration::from_millis(100);

fn run(process: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    Builder::new_current_thread().enable_all().build().context("cannot start a runtime")?.block_on(process)
}

/// Runs a broker, and prints its addresses.
pub(crate) fn broker() -> anyhow::Result<()> {
    run(async {
        let any_port = "tcp://127.0.0.1:0";
        let broker = RunningBroker::start(Settings::new(any_port.parse()?, any_port.parse()?)).await?;
        println!("ready {} {}", broker.frontend(), broker.backend());
        future::pending().await
    })
}

/// Runs a worker: `items.download` sends items, and `items.upload` counts them.
pub(crate) fn worker(address: &str) -> anyhow::Result<()> {
    let service =
        Service::new("items").slots(1_000).read("download", ["items", "size"], download).read("upload", [], upload);
    run(async { Ok(Worker::new().backend(address).serve(service).run().await?) })
}

async fn download(items: u64, size: usize) -> Outgoing<impl Stream<Item = Reply<ByteBuf>>> {
    Outgoing::new(stream::iter((0..items).map(move |_| Reply(ByteBuf::from(vec![7; size])))))
}

async fn upload(mut items: Incoming<ByteBuf>) -> Result<u64, Error> {
    let mut count = 0;
    while let Some(item) = items.next().await {
        item?;
        count += 1;
    }
    Ok(count)
}

/// Runs a client. Prints `start` once it is connected, and `end` after the last item.
pub(crate) fn client(address: &str, load: Load) -> anyhow::Result<()> {
    run(async {
        let client = Client::connect(address).await?;
        run_stream(&client, load.direction, 1_000, load.size).await?;
        println!("start");
        let slow = load.slow.then(|| tokio::spawn(read_slowly(client.clone(), load.size)));
        let streams = (0..load.streams).map(|_| {
            let client = client.clone();
            tokio::spawn(async move { run_stream(&client, load.direction, load.items, load.size).await })
        });
        for stream in future::join_all(streams).await {
            stream??;
        }
        println!("end");
        if let Some(slow) = slow {
            slow.abort();
        }
        Ok(client.close().await?)
    })
}

async fn run_stream(client: &Client, direction: Direction, items: u64, size: usize) -> anyhow::Result<()> {
    let count = match direction {
        Direction::Download => receive(client, items, size).await?,
        Direction::Upload => send(client, items, size).await?,
    };
    ensure!(count == items, "{count} of {items} items arrived");
    Ok(())
}

async fn receive(client: &Client, items: u64, size: usize) -> anyhow::Result<u64> {
    let mut stream = client.call::<()>("items.download", (items, size)).no_timeout().stream::<ByteBuf>();
    let mut count = 0;
    while let Some(item) = stream.next().await {
        item?;
        count += 1;
    }
    Ok(count)
}

async fn send(client: &Client, items: u64, size: usize) -> anyhow::Result<u64> {
    let (mut sender, reply) = client.call::<u64>("items.upload", ()).no_timeout().upload::<ByteBuf>();
    let item = ByteBuf::from(vec![7; size]);
    for _ in 0..items {
        sender.send(&item).await?;
    }
    sender.end();
    Ok(reply.await?)
}

async fn read_slowly(client: Client, size: usize) {
    let mut stream = client.call::<()>("items.download", (u64::MAX, size)).no_timeout().stream::<ByteBuf>();
    while stream.next().await.is_some_and(|item| item.is_ok()) {
        tokio::time::sleep(SLOW_PAUSE).await;
    }
}
