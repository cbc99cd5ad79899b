//! `callboard pause` and `callboard resume`: calls of a service, method or worker wait, and continue.

use clap::Args;

use super::request::{counted, operate};
use crate::{
    command::{
        client::flags::ConnectionFlags,
        output::{self, exit::Exit},
    },
    settings::{Flags, Settings},
};

/// Shown below `callboard pause --help`.
const AFTER_PAUSE: &str = "\
Calls that are at workers continue. New ones wait, in their order, until their timeouts. A pause lasts until `callboard
resume`, or until the broker ends. A paused worker gets no calls, even after it has reconnected, and its affinity keys go to
other workers. `callboard limit` lists what is paused.

Examples:
  callboard pause calculator
  callboard pause calculator.add
  callboard pause --worker calculator-2";

/// Shown below `callboard resume --help`.
const AFTER_RESUME: &str = "\
Examples:
  callboard resume calculator
  callboard resume --worker calculator-2";

/// What is paused or resumed.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// The service or method: SERVICE or SERVICE.METHOD
    #[arg(value_name = "SERVICE[.METHOD]")]
    target: Option<String>,
    /// The worker, by its name in `callboard status`
    #[arg(long, value_name = "NAME")]
    worker: Option<String>,
}

/// Let the calls of a service, a method or a worker wait
#[derive(Debug, Args)]
#[command(after_help = AFTER_PAUSE)]
pub(crate) struct Pause {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    connection: ConnectionFlags,
}

/// End the pause of a service, a method or a worker
#[derive(Debug, Args)]
#[command(after_help = AFTER_RESUME)]
pub(crate) struct Resume {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    connection: ConnectionFlags,
}

impl Pause {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Sends the request.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let text = match (self.target.target, self.target.worker) {
            (Some(target), _) => {
                let waiting = operate(&settings.client, "pause", (&target,)).await?;
                let verb = if waiting == 1 { "waits" } else { "wait" };
                format!("{target} is paused; {} of its service {verb}", counted(waiting, "call"))
            }
            (None, worker) => {
                let worker = worker.unwrap_or_default();
                operate(&settings.client, "pause_worker", (&worker,)).await?;
                format!("worker {worker} is paused")
            }
        };
        output::print(&text)?;
        Ok(Exit::Success)
    }
}

impl Resume {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Sends the request.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let text = match (self.target.target, self.target.worker) {
            (Some(target), _) => {
                operate(&settings.client, "resume", (&target,)).await?;
                format!("{target} is resumed")
            }
            (None, worker) => {
                let worker = worker.unwrap_or_default();
                match operate(&settings.client, "resume_worker", (&worker,)).await? {
                    0 => format!("worker {worker} is resumed; it is not connected"),
                    _ => format!("worker {worker} is resumed"),
                }
            }
        };
        output::print(&text)?;
        Ok(Exit::Success)
    }
}
