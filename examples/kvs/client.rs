//! A client of the key-value store that counts views. Its calls have an affinity key, so that one of several workers gets all of them.
//!
//! ```text
//! cargo run --example kvs-client -- tcp://127.0.0.1:5559 1000
//! ```
//!
//! If the broker requires authentication, set CALLBOARD_AUTHKEY.

#[path = "../common/program.rs"]
mod program;

use std::{env, error::Error, process::ExitCode};

use callboard::{Client, authkeys_from_environment};

#[tokio::main]
async fn main() -> ExitCode {
    let about = "Usage: kvs-client [FRONTEND] [TIMES]\n\nCounts views with kvs.inc, 1000 times by default.";
    program::client(about, count).await
}

async fn count() -> Result<(), Box<dyn Error>> {
    let mut words = env::args().skip(1);
    let frontend = words.next().unwrap_or_else(|| "tcp://127.0.0.1:5559".to_owned());
    let times: u32 = words.next().map_or(Ok(1_000), |times| times.parse())?;
    let mut client = Client::builder(frontend);
    if let Some(keys) = authkeys_from_environment()? {
        client = client.authkey(keys.first().clone());
    }
    let client = client.connect().await?;
    let kvs = client.service("kvs");

    let mut views = 0_i64;
    for _ in 0..times {
        views = kvs.call("inc", ("views",)).key("views").await?;
    }
    println!("{views} views after the last of mine");
    Ok(client.close().await?)
}
