//! `callboard status`: the broker, its services, pools, workers and clients at one moment.

mod snapshot;
mod tables;

use std::{
    io::{self, IsTerminal as _},
    pin::pin,
    time::{Duration, Instant},
};

use callboard::{Client, core::broker::Status as BrokerStatus};
use clap::Args;
use tokio::time::{sleep, timeout};

use self::snapshot::Overview;
use crate::{
    command::{
        client::{self, flags::Connection},
        output::{self, exit::Exit},
    },
    settings::{ClientSettings, Flags, Settings},
};

/// How often `--watch` looks.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// How long `--watch` waits for an answer before it says that there is none, and again after as long.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// Shown below `callboard status --help`.
const AFTER_HELP: &str = "\
Rates are calls a second over the last five seconds. The state of a pool's worker is its pool's word (backoff: its
process ended, and another is started soon; looping: its processes end again and again, and one is tried every 10 s); that of
the others is connected or draining. The broker's word is stuck: it did not stop a call that ran past its method's hard limit.

Examples:
  callboard status
  callboard status --watch
  callboard status --json | jq '.broker.services[] | {name, waiting, oldest_wait_ms}'";

/// Show services, queues, pools, workers and what they run, clients, and what was counted
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Status {
    /// Print JSON, one line
    #[arg(long)]
    json: bool,
    /// Show it again every second, until Ctrl-C
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Status {
    /// The settings that were typed as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Asks the broker and its pools, and prints what they say.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let settings = settings.client;
        let client = client::connect(&settings).await?;
        if self.watch {
            return self.watch(&client, &settings).await;
        }
        let broker = ask(&client, &settings).await?;
        self.show(&Overview::of(&client, broker).await)?;
        client::leave(&client).await;
        Ok(Exit::Fine)
    }

    /// Shows it again and again, also while the broker is away: who watches wants to see it come back.
    async fn watch(&self, client: &Client, settings: &ClientSettings) -> anyhow::Result<Exit> {
        let (mut last, mut answered) = (None, Instant::now());
        loop {
            let mut asked = pin!(ask(client, settings));
            let answer = loop {
                // The question stays asked: it is dropped below, or with this loop.
                match timeout(SILENCE_MAX, &mut asked).await {
                    Ok(answer) => break answer,
                    Err(_) => self.show_silence(answered.elapsed(), last.as_ref())?,
                }
            };
            match answer {
                Ok(broker) => {
                    answered = Instant::now();
                    self.show(last.insert(Overview::of(client, broker).await))?;
                }
                Err(error) => output::complain(&error),
            }
            sleep(WATCH_EVERY).await;
        }
    }

    /// What was true once must not look as if it were true now.
    fn show_silence(&self, silence: Duration, last: Option<&Overview>) -> anyhow::Result<()> {
        let said = format!("no answer from the broker for {} s", silence.as_secs());
        match last {
            Some(last) if !self.json && io::stdout().is_terminal() => {
                output::print_alone(&format!("{said}; before that:\n\n{}", tables::text(last)))
            }
            _ => {
                output::note(&said);
                Ok(())
            }
        }
    }

    fn show(&self, overview: &Overview) -> anyhow::Result<()> {
        if self.json {
            return output::print(&serde_json::to_string(overview)?);
        }
        let text = tables::text(overview);
        match (self.watch, io::stdout().is_terminal()) {
            (true, true) => output::print_alone(&text),
            (true, false) => output::print(&format!("{text}\n")),
            (false, _) => output::print(&text),
        }
    }
}

async fn ask(client: &Client, settings: &ClientSettings) -> anyhow::Result<BrokerStatus> {
    let call = client.call::<BrokerStatus>("callboard.status", ());
    client::timed(call, settings).await.map_err(client::failed)
}
