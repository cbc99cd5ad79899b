//! `callboard drain`: asks a worker to finish its calls and to leave.

use clap::Args;

use super::request::operate;
use crate::{
    command::{
        client::flags::ConnectionFlags,
        output::{self, exit::Exit},
    },
    settings::{Flags, Settings},
};

/// Shown below `callboard drain --help`.
const AFTER_HELP: &str = "\
No call fails: the worker gets no more calls, finishes those that run within its drain time, and ends. A pool starts another
process in its place. `callboard status` shows the names of workers.

Example:
  callboard drain calculator-2";

/// Ask a worker to finish its calls and to leave
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Drain {
    /// The worker, by its name in `callboard status`
    worker: String,
    #[command(flatten)]
    connection: ConnectionFlags,
}

impl Drain {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Sends the request.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        operate(&settings.client, "drain_worker", (&self.worker,)).await?;
        output::print(&format!("worker {} drains", self.worker))?;
        Ok(Exit::Success)
    }
}
