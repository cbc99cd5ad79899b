//! `callboard internal load-client`: clients of the bench, one on each thread of a process.
//!
//! The program and the bench take turns, one line at a time:
//!
//! | the program prints | then the bench writes a line, and the program |
//! |---|---|
//! | `connected` | warms up, or makes the calls that wait for the workers |
//! | `ready` | measures |
//! | its measurements as JSON | ends |

mod backlog;
mod caller;
mod casts;
mod client;
mod schedule;
pub(crate) mod tally;

use anyhow::Context as _;
use clap::Args;
use tokio::sync::{mpsc, watch};

use self::{client::LoadClient, tally::Measured};
use super::{input::Input, parameters::Parameters, threads};
use crate::command::output::{self, exit::Exit};

/// Make the calls of bench
#[derive(Debug, Args)]
pub(crate) struct LoadProgram {
    #[arg(long)]
    frontend: String,
    /// Clients in this process
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// The number of its first client
    #[arg(long, default_value_t = 0)]
    first: u32,
    /// The parameters of the measurement as JSON
    #[arg(long)]
    parameters: String,
}

/// The parts of a measurement, in their order.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Connect,
    Prepare,
    Measure,
}

/// What a client reports at the end of a phase: its measurements at the end of the last one.
type Report = anyhow::Result<Option<Measured>>;

impl LoadProgram {
    /// Runs the clients.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        let (phase, phases) = watch::channel(Phase::Connect);
        let (reports, mut reported) = mpsc::channel(1);
        self.start(phases, reports)?;
        let mut input = Input::start()?;
        self.finish_phase(&mut reported, &mut input).await?;
        next_phase("connected", &mut input).await?;
        phase.send_replace(Phase::Prepare);
        self.finish_phase(&mut reported, &mut input).await?;
        next_phase("ready", &mut input).await?;
        phase.send_replace(Phase::Measure);
        let measured = self.finish_phase(&mut reported, &mut input).await?;
        // The bench reads the CPU time and the memory of this process before it ends.
        next_phase(&serde_json::to_string(&Measured::sum(measured))?, &mut input).await?;
        Ok(Exit::Success)
    }

    fn start(&self, phases: watch::Receiver<Phase>, reports: mpsc::Sender<Report>) -> anyhow::Result<()> {
        let parameters: Parameters = serde_json::from_str(&self.parameters).context("invalid parameters")?;
        let (frontend, first, failures) = (self.frontend.clone(), self.first, reports.clone());
        let program = move |thread| {
            run_client(frontend.clone(), first + thread, parameters.clone(), phases.clone(), reports.clone())
        };
        threads::start("client", self.threads, program, move |error| {
            // Fails if the process is ending.
            let _ = failures.blocking_send(Err(error));
        })?;
        Ok(())
    }

    /// Waits until all clients have finished a phase. Fails if the bench has ended, since nothing else ends this process then.
    async fn finish_phase(
        &self,
        reported: &mut mpsc::Receiver<Report>,
        input: &mut Input,
    ) -> anyhow::Result<Vec<Measured>> {
        let mut all = Vec::new();
        for _ in 0..self.threads {
            tokio::select! {
                // Both are cancel safe.
                report = reported.recv() => all.extend(report.context("all clients have ended")??),
                _ = input.line() => anyhow::bail!("the bench has ended"),
            }
        }
        Ok(all)
    }
}

/// Prints a line, and waits for the line that begins the next phase.
async fn next_phase(line: &str, input: &mut Input) -> anyhow::Result<()> {
    output::print(line)?;
    input.line().await
}

/// Runs one client, from phase to phase.
async fn run_client(
    frontend: String,
    number: u32,
    parameters: Parameters,
    mut phases: watch::Receiver<Phase>,
    reports: mpsc::Sender<Report>,
) -> anyhow::Result<()> {
    let mut client = LoadClient::connect(&frontend, number, parameters).await?;
    reports.send(Ok(None)).await?;
    phases.wait_for(|phase| *phase == Phase::Prepare).await?;
    client.prepare().await?;
    reports.send(Ok(None)).await?;
    phases.wait_for(|phase| *phase == Phase::Measure).await?;
    let measured = client.measure().await?;
    reports.send(Ok(Some(measured))).await?;
    client.close().await
}
