//! `callboard status`: shows the broker, its services, pools, workers and clients.

pub(super) mod snapshot;
pub(super) mod tables;
mod watch;

use clap::Args;

use self::snapshot::StatusSnapshot;
use crate::{
    command::{
        client::{self, flags::ConnectionFlags},
        output::{self, exit::Exit},
    },
    settings::{Flags, Settings},
};

/// Shown below `callboard status --help`.
const AFTER_HELP: &str = "\
Rates are calls per second over the last five seconds. The pool reports the state of its workers (backoff: the process
ended and will be restarted; looping: it ends again and again, and is retried every 10 s). Other workers are connected or
draining. The broker reports a worker as stuck if it did not stop a call that ran past its method's hard limit.

Examples:
  callboard status
  callboard status --watch
  callboard status --json | jq '.broker.services[] | {name, waiting, oldest_wait_ms}'";

/// Show services, queues, pools, workers with their calls, clients, and counters
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Status {
    /// Print JSON on one line
    #[arg(long)]
    json: bool,
    /// Repeat every second, until Ctrl-C; on a terminal, what does not fit the screen is clipped
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    connection: ConnectionFlags,
}

impl Status {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Queries the broker and its pools, and prints the result.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let settings = settings.client;
        let client = client::connect(&settings).await?;
        if self.watch {
            return watch::run(self.json, &client, &settings).await;
        }
        let broker = snapshot::query_broker(&client, &settings).await?;
        output::print(&tables::format(&StatusSnapshot::of(&client, broker).await, self.json)?)?;
        client::leave(&client).await;
        Ok(Exit::Success)
    }
}
