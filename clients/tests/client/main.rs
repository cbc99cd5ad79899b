//! The client library against a scripted broker: with an I/O thread, and as part of `client_inline`.
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
use callboard_clients::{Call, Client, ClientBuilder, Code, Executed};

/// The limit of a test. It is far above what any of them takes, so a test that reaches it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// A timeout that is meant to pass.
const SOON: Duration = Duration::from_millis(200);

/// Returns the settings of a client. It is inline in the tests of `client_inline`.
fn builder(address: impl Into<String>) -> ClientBuilder {
    let builder = Client::builder(address);
    match env!("CARGO_CRATE_NAME") {
        "client_inline" => builder.inline(),
        _ => builder,
    }
}

/// Runs a test on one thread. The scripted broker and the program share it. A client that is not inline must not depend on it.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE, test).await.expect("the test hangs") });
}

/// Starts a broker and a client that is connected to it.
async fn connected() -> (Broker, Client) {
    connected_with(|builder| builder).await
}

/// Starts a broker and a connected client with other settings.
async fn connected_with(settings: impl FnOnce(ClientBuilder) -> ClientBuilder) -> (Broker, Client) {
    let mut broker = Broker::start().await;
    let client = settings(builder(&broker.address)).connect();
    let (client, _hello) = tokio::join!(client, broker.welcome());
    (broker, client.unwrap())
}

/// Asserts that a call is not made, whichever ending it has, and that each error has this code and contains `text`.
async fn assert_every_ending_fails(call: impl Fn() -> Call<()>, code: Code, text: &str) {
    let never = |_| panic!("the callback must not run");
    let errors = [
        call().await.unwrap_err(),
        call().on_complete(never).await.unwrap_err(),
        call().try_on_complete(never).unwrap_err(),
        call().cast().await.unwrap_err(),
        call().try_cast().unwrap_err(),
    ];
    for error in errors {
        assert_eq!((error.code(), error.executed()), (code, Executed::No));
        assert!(error.message().contains(text), "{error}");
    }
}
