//! Chaos test: kills and stops real processes at random while clients count the outcomes of their calls.
//!
//! ```text
//! cargo test --test chaos -- --seconds 60 --seed 7
//! ```
//!
//! It ends with a table. It fails if a call got two outcomes or none, if a `once` function ran twice for one call, or if an error
//! claims that a function did not run although it did. The seed decides what is killed and when, but the rest depends on the system,
//! so a run cannot be repeated exactly: the simulation of the machines (`core/tests/simulation`) can. `cargo test` alone runs the short form.
#![cfg(feature = "command")]
#![allow(clippy::unwrap_used)]

mod cluster;
#[path = "../system/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the system tests use the rest")]
mod harness;
mod tally;

use std::{
    env,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use callboard::Client;

use self::{cluster::Cluster, tally::Tally};

/// Seconds of the short form.
const SECONDS: u64 = 4;
/// Clients that make calls.
const CLIENTS: u64 = 3;
/// Outstanding calls of each client, at most.
const OUTSTANDING_MAX: usize = 100;
/// The timeout of each call.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long after its timeout a call without an outcome counts as hung.
const HUNG_AFTER: Duration = Duration::from_secs(30);

/// The arguments of the command line.
struct Arguments {
    seconds: u64,
    seed: u64,
}

fn main() -> ExitCode {
    let Some(Arguments { seconds, seed }) = arguments() else { return ExitCode::SUCCESS };
    println!("chaos: {seconds} s, seed {seed}");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let tally = runtime.block_on(run(seconds, seed));
    println!("{tally}");
    if tally.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Parses the command line. Returns `None` if it selects other tests: `cargo test NAME` passes the name to each test program.
fn arguments() -> Option<Arguments> {
    let mut arguments = Arguments { seconds: SECONDS, seed: 1 };
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|text| text.parse().ok()).expect("the flag needs a number");
        match word.as_str() {
            "--seconds" => arguments.seconds = number(),
            "--seed" => arguments.seed = number(),
            "--list" => return None,
            // The flags of libtest, which have no effect here.
            flag if flag.starts_with('-') => {}
            name if "chaos".contains(name) => {}
            _ => return None,
        }
    }
    Some(arguments)
}

async fn run(seconds: u64, seed: u64) -> Tally {
    let mut cluster = Cluster::new(seed);
    let tally = Arc::new(tally::Counting::default());
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut callers = Vec::new();
    for caller in 0..CLIENTS {
        let client = Client::builder(cluster.frontend()).callbacks_max(OUTSTANDING_MAX).timeout(TIMEOUT);
        let client = client.connect().await.unwrap();
        callers.push(tokio::spawn(call_on(client, caller, end, Arc::clone(&tally))));
    }
    while Instant::now() < end {
        cluster.inject_fault().await;
    }
    cluster.heal();
    for caller in callers {
        caller.await.unwrap().close().await.unwrap();
    }
    tally.result(&cluster.journal(), cluster.faults())
}

/// Makes calls until `end`; `on_complete` waits while too many calls are outstanding. Returns when all calls have ended, or count as hung.
async fn call_on(client: Client, caller: u64, end: Instant, tally: Arc<tally::Counting>) -> Client {
    let mut key = caller;
    while Instant::now() < end {
        let (method, argument) = tally::call(key);
        let tally_of_call = Arc::clone(&tally);
        tally.made(key);
        let call = client.call::<serde::de::IgnoredAny>(method, (argument,)).wait_for_ready();
        let note = move |outcome: Result<serde::de::IgnoredAny, _>| tally_of_call.ended(key, outcome.map(drop));
        if let Err(error) = call.on_complete(note).await {
            tally.ended(key, Err(error));
        }
        key += CLIENTS;
    }
    let wait_until = Instant::now() + TIMEOUT + HUNG_AFTER;
    while tally.is_waiting(caller, CLIENTS) && Instant::now() < wait_until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    client
}
