//! Chaos test: kills and stops real processes at random while clients count the outcomes of their calls.
//!
//! ```text
//! cargo test --test chaos -- --seconds 60 --seed 7      kills, stops and restarts of any process
//! cargo test --test chaos -- --kill-loop 1000 --seed 7  rounds of kill -9 on a worker, the broker or a client
//! cargo test --test chaos -- --kill-loop 1000 --curve   the same with encrypted connections
//! ```
//!
//! Each run ends with a table. It fails if a call got two outcomes or none, if a `once` function ran twice for one call, if an
//! outcome contradicts the journal in which the functions record their runs, or if a process outlives its pool. In the kill loop the
//! pool must also survive, and have all of its workers at the end.
//!
//! The seed decides what is killed and when, but the rest depends on the system, so a run cannot be repeated exactly: the simulation
//! of the machines (`core/tests/simulation`) can. `cargo test` alone runs the short forms of both, each plain and encrypted.
#![cfg(feature = "command")]
#![allow(clippy::unwrap_used)]

mod arguments;
mod caller;
mod cluster;
mod event;
#[path = "../system/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the system tests use the rest")]
mod harness;
mod kill_loop;
mod random;
mod tally;
mod workers;

use std::{
    env,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;

use self::{
    arguments::{Faults, Run},
    caller::Caller,
    cluster::Cluster,
    kill_loop::KillLoop,
    tally::{Calls, Tally},
};

/// Clients that survive.
const CLIENTS: u64 = 3;
/// Worker processes of a run with all faults.
const WORKERS: u32 = 3;
/// The pause between two calls of a client in the kill loop, which leaves the machine time for restarts.
const PACE: Duration = Duration::from_millis(2);

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    if let [word, arguments @ ..] = &words[..]
        && word == caller::WORD
    {
        caller::run_process(arguments);
        return ExitCode::SUCCESS;
    }
    let runtime = Runtime::new().unwrap();
    let mut is_clean = true;
    for run in arguments::parse(words) {
        println!("chaos: {run}");
        let tally = runtime.block_on(inject_faults(run));
        println!("{tally}\n");
        is_clean &= tally.is_clean();
    }
    if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Makes calls on a cluster whose processes fail, and compares the outcomes with the journal.
async fn inject_faults(run: Run) -> Tally {
    let (workers, pace) = match run.faults {
        Faults::All { .. } => (WORKERS, Duration::ZERO),
        Faults::Kills { .. } => (kill_loop::WORKERS, PACE),
    };
    let mut cluster = Cluster::start(run.seed, run.curve, workers);
    let calls = Arc::new(Calls::default());
    let mut callers = Vec::new();
    for caller in 0..CLIENTS {
        let calls = Arc::clone(&calls);
        callers.push(Caller::start(cluster.client_builder(), caller, pace, move |event| calls.record(event)));
    }
    match run.faults {
        Faults::All { seconds } => inject_all_faults(&mut cluster, Duration::from_secs(seconds)).await,
        Faults::Kills { rounds } => KillLoop::new(&mut cluster, &calls).run(rounds).await,
    }
    for (number, caller) in (0..).zip(callers) {
        caller.stop(|| calls.is_waiting(number)).await;
    }
    let orphans = cluster.end();
    calls.tally(&cluster.journal(), cluster.faults(), orphans)
}

async fn inject_all_faults(cluster: &mut Cluster, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        cluster.inject_fault().await;
    }
    cluster.heal();
}
