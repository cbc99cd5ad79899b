//! A client that continues after errors. It requests the position once a second, or reads a stream of the newest positions.
//!
//! ```text
//! cargo run --example position-client
//! cargo run --example position-client -- --watch --every-ms 250
//! ```

mod api;
#[path = "../common/program.rs"]
mod program;
mod settings;

use std::process::ExitCode;

use api::{PositionClient, Reading};
use callboard::{CallError, Client};
use settings::Settings;
use tokio::time;

#[tokio::main]
async fn main() -> ExitCode {
    program::exit_code(run().await)
}

async fn run() -> anyhow::Result<()> {
    let settings = Settings::load(("CALLBOARD_FRONTEND", "tcp://127.0.0.1:5559"), 1_000)?;
    // The client connects in the background. Each call reports its own error.
    let client = Client::builder(&settings.address).connect_lazily()?;
    let position = PositionClient::new(&client);
    if settings.watch { watch(&position, &settings).await } else { ask(&position, &settings).await }
}

/// Requests the position repeatedly.
async fn ask(position: &PositionClient, settings: &Settings) -> ! {
    let mut ticks = time::interval(settings.every);
    loop {
        ticks.tick().await;
        match position.position("the example".to_owned()).timeout(settings.every).await {
            Ok(reading) => show(&reading, 0),
            Err(error) => print_error(&error),
        }
    }
}

/// Reads the newest position repeatedly. Between two reads it sleeps, and skips the older positions.
async fn watch(position: &PositionClient, settings: &Settings) -> ! {
    loop {
        let mut newest = position.watch().no_timeout().conflate().stream();
        while let Some(reading) = newest.next().await {
            match reading {
                Ok(reading) => show(&reading, newest.dropped()),
                Err(error) => print_error(&error),
            }
            time::sleep(settings.every).await;
        }
    }
}

fn show(Reading { x, y, message, .. }: &Reading, missed: u64) {
    println!("x {x:+.3}, y {y:+.3}: {message}; missed {missed}");
}

fn print_error(error: &CallError) {
    tracing::warn!("{error}");
    println!("no position: {}", error.code());
}
