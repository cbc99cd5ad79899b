//! `callboard status`: shows the broker, its services, pools, workers and clients.

mod snapshot;
mod tables;

use std::{
    io::{self, IsTerminal as _},
    pin::pin,
    time::{Duration, Instant},
};

use callboard::{
    Client,
    core::{broker::Status as BrokerStatus, text::HumanDuration},
};
use clap::Args;
use tokio::time::{sleep, timeout};

use self::snapshot::StatusSnapshot;
use crate::{
    command::{
        client::{self, flags::ConnectionFlags},
        output::{self, exit::Exit},
    },
    settings::{ClientSettings, Flags, Settings},
};

/// The interval of `--watch`.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// The time without an answer after which `--watch` reports it, and again after each such time.
const SILENCE_MAX: Duration = Duration::from_secs(1);

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
    /// Repeat every second, until Ctrl-C
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
            return self.watch(&client, &settings).await;
        }
        let broker = query_status(&client, &settings).await?;
        self.show(&StatusSnapshot::of(&client, broker).await)?;
        client::leave(&client).await;
        Ok(Exit::Success)
    }

    /// Shows the status repeatedly, also while the broker is down, so that the user sees it return.
    async fn watch(&self, client: &Client, settings: &ClientSettings) -> anyhow::Result<Exit> {
        let (mut last, mut answered) = (None, Instant::now());
        loop {
            let mut query = pin!(query_status(client, settings));
            let answer = loop {
                // The query continues: it is dropped below, or with this loop.
                match timeout(SILENCE_MAX, &mut query).await {
                    Ok(answer) => break answer,
                    Err(_) => self.show_silence(answered.elapsed(), last.as_ref())?,
                }
            };
            match answer {
                Ok(broker) => {
                    answered = Instant::now();
                    self.show(last.insert(StatusSnapshot::of(client, broker).await))?;
                }
                Err(error) => output::error(&error),
            }
            sleep(WATCH_INTERVAL).await;
        }
    }

    /// Reports that the broker does not answer: an old status must not look like a current one.
    fn show_silence(&self, silence: Duration, last: Option<&StatusSnapshot>) -> anyhow::Result<()> {
        let notice = format!("no answer from the broker for {}", HumanDuration(Duration::from_secs(silence.as_secs())));
        match last {
            Some(last) if !self.json && io::stdout().is_terminal() => {
                output::print_cleared(&format!("{notice}; the last status:\n\n{}", tables::text(last)))
            }
            _ => {
                output::note(&notice);
                Ok(())
            }
        }
    }

    fn show(&self, overview: &StatusSnapshot) -> anyhow::Result<()> {
        if self.json {
            return output::print(&serde_json::to_string(overview)?);
        }
        let text = tables::text(overview);
        match (self.watch, io::stdout().is_terminal()) {
            (true, true) => output::print_cleared(&text),
            (true, false) => output::print(&format!("{text}\n")),
            (false, _) => output::print(&text),
        }
    }
}

async fn query_status(client: &Client, settings: &ClientSettings) -> anyhow::Result<BrokerStatus> {
    let call = client.call::<BrokerStatus>("callboard.status", ());
    client::timed(call, settings).await.map_err(client::failed)
}
