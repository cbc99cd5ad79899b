//! The processes of a measurement, each on a runtime of one thread.

use std::{future::Future, time::Duration};

use anyhow::{Context, ensure};
use callboard::{
    Client, Outgoing, Reply, Service, Worker,
    broker::{RunningBroker, Settings},
};
use futures::{Stream, future, stream};
use serde_bytes::ByteBuf;
use tokio::runtime::Builder;

use crate::Load;

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

/// Runs a worker, whose method `items.download` sends items.
pub(crate) fn worker(address: &str) -> anyhow::Result<()> {
    let service = Service::new("items").read("download", ["items", "size"], download);
    run(async { Ok(Worker::new().backend(address).serve(service).run().await?) })
}

async fn download(items: u64, size: usize) -> Outgoing<impl Stream<Item = Reply<ByteBuf>>> {
    Outgoing::new(stream::iter((0..items).map(move |_| Reply(ByteBuf::from(vec![7; size])))))
}

/// Runs a client. Prints `start` once it is connected, and `end` after the last item.
pub(crate) fn client(address: &str, load: Load) -> anyhow::Result<()> {
    run(async {
        let client = Client::connect(address).await?;
        read_fast(&client, 1_000, load.size).await?;
        println!("start");
        let slow = load.slow.then(|| tokio::spawn(read_slowly(client.clone(), load.size)));
        read_fast(&client, load.items, load.size).await?;
        println!("end");
        if let Some(slow) = slow {
            slow.abort();
        }
        Ok(client.close().await?)
    })
}

async fn read_fast(client: &Client, items: u64, size: usize) -> anyhow::Result<()> {
    let mut stream = client.call::<()>("items.download", (items, size)).no_timeout().stream::<ByteBuf>();
    let mut count = 0;
    while let Some(item) = stream.next().await {
        item?;
        count += 1;
    }
    ensure!(count == items, "{count} of {items} items arrived");
    Ok(())
}

async fn read_slowly(client: Client, size: usize) {
    let mut stream = client.call::<()>("items.download", (u64::MAX, size)).no_timeout().stream::<ByteBuf>();
    while stream.next().await.is_some_and(|item| item.is_ok()) {
        tokio::time::sleep(SLOW_PAUSE).await;
    }
}
