//! Callboard: broker, worker and client.

use callboard::{
    Client, Outgoing, Reply, Service, Stream, Worker,
    broker::{RunningBroker, Settings},
};
use futures::{StreamExt as _, stream};

use crate::{load::Echo, message::Message};

/// More slots than any number of outstanding calls.
const SLOTS: u32 = 8_192;

pub(super) async fn broker() -> anyhow::Result<()> {
    let any_port = || "tcp://127.0.0.1:0".parse();
    let mut broker = RunningBroker::start(Settings::new(any_port()?, any_port()?)).await?;
    println!("ready {} {}", broker.frontend(), broker.backend());
    broker.ended().await;
    Ok(())
}

pub(super) async fn worker(backend: &str, inline: bool) -> anyhow::Result<()> {
    let service =
        Service::new("echo").slots(SLOTS).read("call", ["message"], call).read("items", ["items", "size"], items);
    let worker = Worker::new().backend(backend).serve(service);
    let mut worker = if inline { worker.inline() } else { worker }.start()?;
    worker.registered().await?;
    println!("ready");
    Ok(worker.stopped().await?)
}

async fn call(message: Message) -> Reply<Message> {
    Reply(message)
}

async fn items(items: u64, size: u64) -> Outgoing<impl Stream<Item = Reply<Message>>> {
    let message = Message::new(0, size as usize);
    Outgoing::new(stream::iter(0..items).map(move |id| Reply(Message { id, ..message.clone() })))
}

pub(super) async fn connect(frontend: String, inline: bool) -> anyhow::Result<Client> {
    let client = Client::builder(frontend);
    Ok(if inline { client.inline() } else { client }.connect().await?)
}

impl Echo for Client {
    async fn call(&self, message: Message) -> anyhow::Result<Message> {
        Ok(self.call("echo.call", (&message,)).await?)
    }

    async fn items(&self, items: u64, size: usize) -> anyhow::Result<u64> {
        let mut stream = self.call::<()>("echo.items", (items, size as u64)).stream::<Message>();
        let mut received = 0;
        while let Some(item) = stream.next().await {
            anyhow::ensure!(item?.id == received, "an item is missing");
            received += 1;
        }
        Ok(received)
    }
}
