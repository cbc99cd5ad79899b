//! The floor benchmark: the cost of a call's path without RPC - DEALER, gate, gate, DEALER - and what the real system adds
//! to it.
//!
//! Each round measures the floor and then `callboard bench`, so that both run under the same load. The result is the
//! ratio of their CPU time per call in each round. The floor is three processes with a runtime of one thread each. A
//! call is one message of two frames, a small header and the body, forwarded unchanged: nothing is decoded,
//! encoded, stored or bundled.
//!
//!     cargo bench --bench floor
//!     cargo bench --bench floor -- --rounds 10 --window 512
//!     cargo bench --bench floor -- --floor-only
//!
//! Linux only: CPU time is read from /proc.

mod client;
mod header;
mod measure;
mod process;
mod relay;
mod report;
mod worker;

use std::{future::Future, time::Duration};

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, LocalOptions};

use report::{Report, Round};

/// Compare the CPU time of a call with that of its path without RPC
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    load: Load,
    /// Number of rounds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Do not run `callboard bench`
    #[arg(long)]
    floor_only: bool,
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

/// The load of a measurement.
#[derive(Clone, Copy, Debug, clap::Args)]
struct Load {
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3, global = true)]
    seconds: u64,
    /// Outstanding calls
    #[arg(long, default_value_t = 64, global = true, value_parser = clap::value_parser!(u32).range(1..))]
    window: u32,
    /// Bytes of each body
    #[arg(long, default_value_t = 64, global = true)]
    size: u32,
}

impl Load {
    fn time(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// The processes of the floor: this program again.
#[derive(Debug, Subcommand)]
enum Role {
    /// The relay between both sides
    #[command(hide = true)]
    Relay,
    /// Sends back what it receives
    #[command(hide = true)]
    Worker {
        /// The relay's backend
        address: String,
    },
    /// Makes calls
    #[command(hide = true)]
    Client {
        /// The relay's frontend
        address: String,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match &arguments.role {
        None => compare(&arguments),
        Some(Role::Relay) => run(relay::run()),
        Some(Role::Worker { address }) => run(worker::run(address)),
        Some(Role::Client { address }) => run(client::run(address, arguments.load)),
    }
}

/// Runs one process of the floor on a single-threaded runtime, as the real processes do.
fn run(process: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    runtime.context("cannot start a runtime")?.block_on(process)
}

fn compare(arguments: &Arguments) -> anyhow::Result<()> {
    let mut report = Report::default();
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        let floor = measure::floor(arguments.load).context("the floor")?;
        let real = if arguments.floor_only { None } else { Some(measure::real(arguments.load)?) };
        report.rounds.push(Round { floor, real });
    }
    println!("{report}");
    if arguments.json {
        println!("{}", report.json());
    }
    Ok(())
}
