//! The slow reader benchmark: a fast stream alone, and beside a stream that is read at ten items a second, with a process for the broker,
//! the worker and the client. A slow reader must slow down its own stream only.
//!
//! `callboard bench --style server-stream` measures streams without a slow reader.
//!
//!     cargo bench --bench slow-reader
//!     cargo bench --bench slow-reader -- --items 100000 --size 1024
//!
//! Linux only: CPU time is read from /proc.

#[path = "../floor/process.rs"]
mod process;
mod roles;

use std::time::Instant;

use anyhow::Context;
use clap::{Parser, Subcommand};

use process::Process;

/// Measure a fast stream alone and beside a slow reader
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    load: Load,
    /// Number of rounds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

/// The load of a measurement.
#[derive(Clone, Copy, Debug, clap::Args)]
struct Load {
    /// Items of the fast stream
    #[arg(long, default_value_t = 1_000_000, global = true)]
    items: u64,
    /// Bytes of each item
    #[arg(long, default_value_t = 64, global = true)]
    size: usize,
    /// Read one more stream slowly
    #[arg(long, hide = true, global = true)]
    slow: bool,
}

/// The measured processes: this program again.
#[derive(Debug, Subcommand)]
enum Role {
    /// The broker
    #[command(hide = true)]
    Broker,
    /// Serves the streams
    #[command(hide = true)]
    Worker {
        /// The broker's backend
        address: String,
    },
    /// Makes the calls
    #[command(hide = true)]
    Client {
        /// The broker's frontend
        address: String,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match &arguments.role {
        None => (1..=arguments.rounds).try_for_each(|round| {
            measure(round, Load { slow: false, ..arguments.load })?;
            measure(round, Load { slow: true, ..arguments.load })
        }),
        Some(Role::Broker) => roles::broker(),
        Some(Role::Worker { address }) => roles::worker(address),
        Some(Role::Client { address }) => roles::client(address, arguments.load),
    }
}

/// Measures the fast stream once, and prints its figures.
fn measure(round: u32, load: Load) -> anyhow::Result<()> {
    let mut broker = Process::start(&["broker"])?;
    let addresses = broker.expect("ready")?;
    let [frontend, backend] = addresses.as_slice() else { anyhow::bail!("the broker must print two addresses") };
    let worker = Process::start(&["worker", backend])?;
    let mut client = start_client(frontend, load)?;
    client.expect("start")?;
    let processes = [&broker, &worker];
    let cpu = |client: &Process| [processes[0], processes[1], client].map(Process::cpu_seconds);
    let (before, started) = (cpu(&client), Instant::now());
    client.expect("end")?;
    let (seconds, after) = (started.elapsed().as_secs_f64(), cpu(&client));
    let per_100k = |at: usize| -> anyhow::Result<f64> {
        let [before, after] = [&before[at], &after[at]].map(|cpu| cpu.as_ref().ok().context("no CPU time").copied());
        Ok((after? - before?) * 100_000.0 / load.items as f64)
    };
    let [broker, worker, client] = [per_100k(0)?, per_100k(1)?, per_100k(2)?];
    println!(
        "round {round}, {}: {:.2} M items/s, CPU s per 100k items: {:.3} (broker {broker:.3}, worker {worker:.3}, client {client:.3})",
        if load.slow { "beside a slow reader" } else { "alone" },
        load.items as f64 / seconds / 1e6,
        broker + worker + client,
    );
    Ok(())
}

fn start_client(frontend: &str, load: Load) -> anyhow::Result<Process> {
    let [items, size] = [load.items, load.size as u64].map(|number| number.to_string());
    let numbers = ["--items", &items, "--size", &size];
    let slow: &[&str] = if load.slow { &["--slow"] } else { &[] };
    Process::start(&[&["client", frontend], numbers.as_slice(), slow].concat())
}
