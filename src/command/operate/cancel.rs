//! `callboard cancel`: ends one call.

use clap::Args;

use super::request::operate;
use crate::{
    command::{
        client::flags::ConnectionFlags,
        output::{self, exit::Exit},
    },
    settings::{Flags, Settings},
};

/// Shown below `callboard cancel --help`.
const AFTER_HELP: &str = "\
The call fails for its client as CANCELLED. A call that waits is not executed. A call that runs may have been executed; its
worker is asked to stop the handler. `callboard why` and `callboard status` show the ids of calls.

Example:
  callboard cancel 5f2c9a01-12";

/// End one open call
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Cancel {
    /// The id of the call
    call: String,
    #[command(flatten)]
    connection: ConnectionFlags,
}

impl Cancel {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Sends the request.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        operate(&settings.client, "cancel", (&self.call,)).await?;
        output::print(&format!("{} is cancelled", self.call))?;
        Ok(Exit::Success)
    }
}
