//! NATS: requests to a queue group.

use async_nats::{Client, ConnectOptions};
use futures::StreamExt as _;

use crate::{load::Echo, message::Message};

const SUBJECT: &str = "echo.call";
/// Messages that may wait in a subscription: more than any number of outstanding calls.
const WAITING_MAX: usize = 1 << 18;

/// Returns the arguments of nats-server.
pub(super) fn server(port: u16) -> Vec<String> {
    ["-a", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned).into()
}

pub(super) async fn worker(url: &str) -> anyhow::Result<()> {
    let client = connected(url).await?;
    let mut requests = client.queue_subscribe(SUBJECT, "workers".to_owned()).await?;
    // The server has the subscription when it has answered a ping.
    client.flush().await?;
    println!("ready");
    while let Some(request) = requests.next().await {
        let result = Message::decode(&request.payload)?.encode()?;
        if let Some(inbox) = request.reply {
            client.publish(inbox, result).await?;
        }
    }
    Ok(())
}

pub(super) async fn connect(url: String) -> anyhow::Result<Client> {
    connected(&url).await
}

async fn connected(url: &str) -> anyhow::Result<Client> {
    Ok(ConnectOptions::new().subscription_capacity(WAITING_MAX).connect(url).await?)
}

impl Echo for Client {
    async fn call(&self, message: Message) -> anyhow::Result<Message> {
        Message::decode(&self.request(SUBJECT, message.encode()?).await?.payload)
    }
}
