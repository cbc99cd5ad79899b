//! `callboard purge`: ends the waiting calls of a service or method.

use clap::Args;

use super::request::{counted, operate};
use crate::{
    command::{
        client::flags::ConnectionFlags,
        output::{self, exit::Exit},
    },
    settings::{Flags, Settings},
};

/// Shown below `callboard purge --help`.
const AFTER_HELP: &str = "\
The calls fail for their clients as CANCELLED, and none of them is executed by this. Calls that are at workers continue.

Examples:
  callboard purge calculator
  callboard purge calculator.add";

/// End the waiting calls of a service or method
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Purge {
    /// The service or method: SERVICE or SERVICE.METHOD
    #[arg(value_name = "SERVICE[.METHOD]")]
    target: String,
    #[command(flatten)]
    connection: ConnectionFlags,
}

impl Purge {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Sends the request.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let ended = operate(&settings.client, "purge", (&self.target,)).await?;
        output::print(&format!("{} of {} ended", counted(ended, "waiting call"), self.target))?;
        Ok(Exit::Success)
    }
}
