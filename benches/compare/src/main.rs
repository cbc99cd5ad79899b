//! Callboard beside other ways to call: NATS, Redis, tonic, tarpc and raw TCP.
//!
//! All peers send back the same message, with the same load, runtime and compiler settings. Each process has a runtime
//! of one thread. The repeats are interleaved: each round measures every peer once, so that all run under the same
//! load of the machine. The tables have medians, and of peers with variants the best one.
//!
//!     benches/compare/run
//!     benches/compare/run --peers callboard,nats --points 2,6 --rounds 5
//!     benches/compare/run --write docs/performance.md --plots docs/plots
//!
//! Linux only: CPU time is read from /proc.

mod load;
mod measure;
mod message;
mod point;
mod process;
mod python;
mod report;
mod results;
mod rivals;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum as _, value_parser};

use self::{
    point::POINTS,
    report::{markdown, plot},
    results::Results,
    rivals::{Broker, Rival, Role},
};

/// Measure Callboard beside the peers that are installed, and print tables in Markdown
#[derive(Debug, Parser)]
#[command(name = "callboard-compare", args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(flatten)]
    comparison: Comparison,
    #[command(subcommand)]
    process: Option<Process>,
}

/// A process of a peer: this program again.
#[derive(Debug, Subcommand)]
enum Process {
    #[command(hide = true)]
    Role {
        peer: Rival,
        #[command(subcommand)]
        role: Role,
    },
}

#[derive(Debug, clap::Args)]
struct Comparison {
    /// Peers [default: all]
    #[arg(long, value_delimiter = ',')]
    peers: Vec<Rival>,
    /// Numbers of loads, from 1 on [default: all]
    #[arg(long, value_delimiter = ',', value_parser = value_parser!(u32).range(1..=POINTS.len() as i64))]
    points: Vec<u32>,
    /// Measurements of each peer and load
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Seconds of calls before it
    #[arg(long, default_value_t = 0.5)]
    warm_up: f64,
    /// Interpreter with the Python package and its rivals: measure them, too
    #[arg(long, value_name = "PYTHON", requires = "command")]
    python: Option<PathBuf>,
    /// Release build of the command, for Python
    #[arg(long, value_name = "CALLBOARD")]
    command: Option<PathBuf>,
    /// Write every measurement to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the tables into this document
    #[arg(long, value_name = "FILE.md")]
    write: Option<PathBuf>,
    /// Write a plot of each load into this folder
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let line = CommandLine::parse();
    match line.process {
        Some(Process::Role { peer, role }) => run(peer, role),
        None => line.comparison.run(),
    }
}

/// Runs one process of a peer on a runtime of one thread.
fn run(peer: Rival, role: Role) -> anyhow::Result<()> {
    if !matches!(role, Role::Client { .. }) {
        end_with_input()?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start a runtime")?.block_on(peer.run(role))
}

/// Ends this process when its standard input ends: the comparison has ended, however it did.
fn end_with_input() -> anyhow::Result<()> {
    let wait = || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0)
    };
    std::thread::Builder::new().name("input".to_owned()).spawn(wait)?;
    Ok(())
}

impl Comparison {
    fn run(&self) -> anyhow::Result<()> {
        let mut results = Results::default();
        let peers = self.installed(&mut results);
        for round in 1..=self.rounds {
            for point in self.points() {
                for peer in &peers {
                    self.measure(round, point, *peer, &mut results);
                }
            }
        }
        let mut tables = markdown::tables(&results, self.plots_of_document());
        if let (Some(python), Some(command)) = (&self.python, &self.command) {
            let python = python::table(python, command, self.seconds, self.rounds);
            tables =
                format!("{tables}\n\n{}", python.unwrap_or_else(|error| format!("Could not run: Python: {error:#}")));
        }
        println!("{tables}");
        self.write(&results, &tables)
    }

    /// Returns the peers whose programs are installed. The others are noted.
    fn installed(&self, results: &mut Results) -> Vec<Rival> {
        let all = if self.peers.is_empty() { Rival::value_variants() } else { &self.peers };
        let mut missing = BTreeSet::new();
        let peers = all.iter().copied().filter(|peer| match peer.broker() {
            Broker::Program { name, .. } if !has_program(name) => {
                missing.insert((peer.name(), name));
                false
            }
            _ => true,
        });
        let peers = peers.collect();
        for (peer, name) in missing {
            results.miss(peer.to_owned(), format!("{name} is not installed"));
        }
        peers
    }

    /// Returns the folder of the plots, relative to the document if it is below the document's own.
    fn plots_of_document(&self) -> Option<&Path> {
        let folder = self.plots.as_deref()?;
        let parent = self.write.as_deref().and_then(Path::parent);
        Some(parent.and_then(|parent| folder.strip_prefix(parent).ok()).unwrap_or(folder))
    }

    /// Returns the positions of the points.
    fn points(&self) -> Vec<usize> {
        if self.points.is_empty() {
            return (0..POINTS.len()).collect();
        }
        self.points.iter().map(|number| *number as usize - 1).collect()
    }

    fn measure(&self, round: u32, point: usize, peer: Rival, results: &mut Results) {
        let load = &POINTS[point];
        if load.items > 0 && !peer.has_streams() {
            return;
        }
        eprintln!("round {round} of {}: {}: {}", self.rounds, load.title(), peer.word());
        results.add(point, peer, measure::measure(peer, load, self.seconds, self.warm_up));
    }

    fn write(&self, results: &Results, tables: &str) -> anyhow::Result<()> {
        if let Some(path) = &self.json {
            fs::write(path, results.json().to_string()).with_context(|| format!("cannot write {}", path.display()))?;
        }
        if let Some(folder) = &self.plots {
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
            for (at, point) in results.points() {
                let path = folder.join(plot::file_name(at));
                fs::write(&path, plot::rates(point, &results.best(at)))
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
        self.write.as_ref().map_or(Ok(()), |document| markdown::write(document, tables))
    }
}

/// Returns whether a program is installed.
fn has_program(name: &str) -> bool {
    Command::new(name).arg("--version").output().is_ok()
}
