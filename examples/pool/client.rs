//! A client of the pool. It makes 10,000 calls at once, each with a callback, and prints how many calls each process served.
//!
//! ```text
//! cargo run --example pool-client -- tcp://127.0.0.1:5559
//! ```

#[path = "../common/program.rs"]
mod program;

use std::{collections::BTreeMap, env, error::Error, process::ExitCode, sync::mpsc};

use callboard::{CallError, Client};
use serde::Deserialize;

/// The number of calls.
const CALLS: u64 = 10_000;
/// The total steps of the numbers from 1 to 10,000.
const STEPS_IN_ALL: u64 = 849_666;

#[derive(Deserialize)]
struct Found {
    value: u64,
    pid: u32,
}

#[tokio::main]
async fn main() -> ExitCode {
    program::client("Usage: pool-client [FRONTEND]\n\nMakes 10,000 calls of jobs.collatz. FRONTEND is tcp://127.0.0.1:5559 by default.", run).await
}

async fn run() -> Result<(), Box<dyn Error>> {
    let frontend = env::args().nth(1).unwrap_or_else(|| "tcp://127.0.0.1:5559".to_owned());
    let client = Client::connect(frontend).await?;
    let (answers, answered) = mpsc::sync_channel::<Result<Found, CallError>>(CALLS as usize);
    for start in 1..=CALLS {
        let answers = answers.clone();
        // Fails only if this program has already failed.
        let callback = move |found| drop(answers.send(found));
        client.call("jobs.collatz", (start,)).on_complete(callback).await?;
    }
    drop(answers);

    let mut steps = 0;
    let mut by_process = BTreeMap::<u32, u64>::new();
    for found in answered {
        let Found { value, pid } = found?;
        steps += value;
        *by_process.entry(pid).or_default() += 1;
    }
    client.close().await?;

    println!("{steps} steps");
    for (pid, calls) in by_process {
        println!("process {pid}: {calls} calls");
    }
    if steps == STEPS_IN_ALL { Ok(()) } else { Err(format!("{STEPS_IN_ALL} steps were expected").into()) }
}
