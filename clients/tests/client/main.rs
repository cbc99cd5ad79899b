//! The client library against a broker that does exactly what a test says.
#![allow(clippy::unwrap_used)]

mod bounds;
mod broker;
mod callbacks;
mod closing;
mod connecting;
mod endings;
mod interleaving;

use std::{future::Future, time::Duration};

use broker::Broker;
use callboard_clients::{Client, ClientBuilder};

/// Far above what any of these tests takes: reached, something hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// A time-out that is meant to pass.
const SOON: Duration = Duration::from_millis(200);

/// Runs a test on one thread: the scripted broker and the program share it, and the client must not need it.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE, test).await.expect("it hangs") });
}

/// A broker, and a client that it has let in.
async fn connected() -> (Broker, Client) {
    connected_with(|builder| builder).await
}

/// The same, with settings of its own.
async fn connected_with(settings: impl FnOnce(ClientBuilder) -> ClientBuilder) -> (Broker, Client) {
    let mut broker = Broker::start().await;
    let client = settings(Client::builder(&broker.address)).connect();
    let (client, _hello) = tokio::join!(client, broker.welcome());
    (broker, client.unwrap())
}
