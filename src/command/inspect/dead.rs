//! `callboard dead`: the broker's dead letters, which are calls that may not be retried.

use std::time::Duration;

use anyhow::anyhow;
use callboard::{
    CallError, Client,
    core::{
        broker::{DeadLetter, DeadLetterDetail},
        text::{HumanBytes, HumanDuration},
    },
};
use ciborium::Value;
use clap::{Args, Subcommand};

use crate::{
    command::{
        client::{self, flags::ConnectionFlags},
        output::{self, exit::Exit, json, table},
    },
    settings::{ClientSettings, Flags, Settings},
};

/// Shown below `callboard dead --help`.
const AFTER_HELP: &str = "\
The broker retries a call whose worker was lost as often as the method's effect allows. Then it keeps the call as a dead
letter, with its arguments, until the broker ends, an operator drops it, or 1,000 later ones replace it. A dead letter of a
`once` method may have been executed.

Examples:
  callboard dead
  callboard dead show 3
  callboard dead resend 3
  callboard dead drop 3";

/// List calls whose workers were lost with them; show, resend or drop one
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Dead {
    #[command(subcommand)]
    what: Option<What>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionFlags,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List them (the default)
    List,
    /// Show one with its arguments
    Show {
        /// Its number
        #[arg(value_parser = number, allow_negative_numbers = true)]
        id: u64,
    },
    /// Make the call again, print its result, and drop the dead letter if it succeeded
    Resend {
        /// Its number
        #[arg(value_parser = number, allow_negative_numbers = true)]
        id: u64,
    },
    /// Drop one
    Drop {
        /// Its number
        #[arg(value_parser = number, allow_negative_numbers = true)]
        id: u64,
    },
}

impl Dead {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Queries the broker and prints the result.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let settings = settings.client;
        let client = client::connect(&settings).await?;
        let text = match self.what.unwrap_or(What::List) {
            What::List => list(&client, &settings, self.json).await?,
            What::Show { id } => show(&client, &settings, id, self.json).await?,
            What::Resend { id } => resend(&client, &settings, id).await?,
            What::Drop { id } => drop_letter(&client, &settings, id).await?,
        };
        client::leave(&client).await;
        output::print(&text)?;
        Ok(Exit::Success)
    }
}

async fn list(client: &Client, settings: &ClientSettings, json: bool) -> anyhow::Result<String> {
    let call = client.call::<Vec<DeadLetter>>("callboard.dead", ());
    let letters = client::timed(call, settings).await.map_err(client::failed)?;
    if json {
        return Ok(serde_json::to_string(&letters)?);
    }
    if letters.is_empty() {
        return Ok("no dead letters".to_owned());
    }
    let rows = letters.iter().map(|letter| {
        let DeadLetter { id, call, method, lost, worker, age_ms, bytes, .. } = letter;
        let age = HumanDuration(Duration::from_secs(age_ms / 1_000)).to_string();
        [
            id.to_string(),
            call.clone(),
            method.clone(),
            effect(letter),
            lost.to_string(),
            worker.clone(),
            age,
            HumanBytes(u64::try_from(*bytes).unwrap_or(u64::MAX)).to_string(),
        ]
    });
    Ok(table::render(["ID", "CALL", "METHOD", "EFFECT", "LOST", "WORKER", "AGE", "BYTES"], rows))
}

/// Returns a dead letter with its arguments, as text or JSON.
pub(super) async fn show(client: &Client, settings: &ClientSettings, id: u64, json: bool) -> anyhow::Result<String> {
    let call = client.call::<DeadLetterDetail>("callboard.dead_show", (id,));
    let DeadLetterDetail { letter, body } = client::timed(call, settings).await.map_err(|error| failed(error, id))?;
    // The caller may have sent invalid bytes.
    let arguments = json::json_of(&body).unwrap_or_else(|error| format!("\"unreadable: {error}\""));
    if json {
        let json = serde_json::to_string(&letter)?;
        return Ok(format!("{},\"arguments\":{arguments}}}", json.trim_end_matches('}')));
    }
    let DeadLetter { call, method, reason, age_ms, .. } = &letter;
    let (effect, age) = (effect(&letter), HumanDuration(Duration::from_secs(age_ms / 1_000)));
    Ok(format!("call {call} of {method} ({effect}), {age} ago\n  {reason}\n  arguments: {arguments}"))
}

/// Makes the call of a dead letter again, and drops the letter if it succeeded. Returns the result as JSON.
pub(super) async fn resend(client: &Client, settings: &ClientSettings, id: u64) -> anyhow::Result<String> {
    let call = client.call::<Value>("callboard.dead_resend", (id,));
    let result = client::timed(call, settings).await.map_err(|error| failed(error, id))?;
    drop_letter(client, settings, id).await?;
    Ok(json::compact(&result))
}

/// Drops a dead letter.
pub(super) async fn drop_letter(client: &Client, settings: &ClientSettings, id: u64) -> anyhow::Result<String> {
    let call = client.call::<()>("callboard.dead_drop", (id,));
    client::timed(call, settings).await.map_err(|error| failed(error, id))?;
    Ok(format!("dropped {id}"))
}

/// Returns the error of a request about one dead letter; for an unknown id, with a hint.
fn failed(error: CallError, id: u64) -> anyhow::Error {
    if error.message().starts_with("unknown dead letter") {
        let why = format!("unknown dead letter {id}; `callboard dead` lists them");
        return Exit::Failed.because(anyhow!("{}: {why} (executed: {})", error.code(), error.executed()));
    }
    client::failed(error)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "write the number of a dead letter, as `callboard dead` lists it".to_owned())
}

fn effect(letter: &DeadLetter) -> String {
    format!("{:?}", letter.effect).to_lowercase()
}
