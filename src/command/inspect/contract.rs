//! `callboard contract diff`: what a new contract changes for callers of the old one.

use std::{fs, path::Path};

use anyhow::{Context as _, anyhow};
use callboard::{
    Client,
    core::contract::{Change, ServiceDescription, Verdict},
};
use clap::{Args, Subcommand};

use crate::{
    command::{
        client::{self, contracts, flags::Connection},
        output::{self, escape::printable, exit::Exit},
    },
    settings::{ClientSettings, Flags, Settings},
};

/// Shown below `callboard contract diff --help`.
const AFTER_HELP: &str = "\
OLD and NEW are files that `callboard describe --json` wrote, or services that are served now. A word with a / in it, or
one that ends in .json, is a file.

  safe     callers of the old contract go on as they are
  unknown  the descriptions do not tell: a type is described by its name alone
  breaks   some of their calls fail, or answers are not what they expect; then the exit code is 1

Examples:
  callboard contract diff old.json new.json
  callboard contract diff released.json user_manager";

/// Compare contracts of services
#[derive(Debug, Args)]
pub(crate) struct Contract {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Tell what changed, and whether old callers can go on
    #[command(after_help = AFTER_HELP)]
    Diff(Diff),
}

#[derive(Debug, Args)]
struct Diff {
    /// The old contract: FILE.json, or a service
    #[arg(value_name = "OLD")]
    old: String,
    /// The new one
    #[arg(value_name = "NEW")]
    new: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Contract {
    /// The settings that were typed as flags.
    pub(crate) fn flags(&self) -> Flags {
        let Action::Diff(diff) = &self.action;
        diff.connection.flags()
    }

    /// Compares, and prints what came of it.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let Action::Diff(diff) = self.action;
        let (old, new) = (load(&diff.old, &settings.client).await?, load(&diff.new, &settings.client).await?);
        let changes = old.changes(&new);
        if diff.json {
            output::print(&serde_json::to_string(&changes)?)?;
        } else {
            output::print(&text(&changes))?;
        }
        let breaks = changes.iter().any(|change| change.verdict == Verdict::Breaks);
        Ok(if breaks { Exit::Failed } else { Exit::Fine })
    }
}

fn text(changes: &[Change]) -> String {
    let line = |change: &Change| format!("{:7}  {}", change.verdict, printable(&change.text));
    match changes {
        [] => "nothing changed for callers".to_owned(),
        changes => changes.iter().map(line).collect::<Vec<_>>().join("\n"),
    }
}

/// A contract from a file or from the broker.
async fn load(word: &str, settings: &ClientSettings) -> anyhow::Result<ServiceDescription> {
    let is_file = word.contains('/') || Path::new(word).extension().is_some_and(|extension| extension == "json");
    if is_file {
        return read(word).map_err(|error| Exit::Usage.because(error));
    }
    let client: Client = client::connect(settings).await?;
    let description = contracts::description(&client, word, settings).await.map_err(client::failed)?;
    client::leave(&client).await;
    description.ok_or_else(|| Exit::Failed.because(anyhow!("the workers of {word} do not describe it")))
}

fn read(path: &str) -> anyhow::Result<ServiceDescription> {
    let json = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let hint = || format!("{path} is no description: write one with `callboard describe SERVICE --json > {path}`");
    serde_json::from_str(&json).with_context(hint)
}
