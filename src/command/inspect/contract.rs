//! `callboard contract diff`: compares two contracts of a service for compatibility.

use std::{fs, path::Path};

use anyhow::{Context as _, anyhow};
use callboard::{
    Client,
    core::contract::{Change, ServiceDescription, Verdict},
};
use clap::{Args, Subcommand};

use crate::{
    command::{
        client::{self, contracts, flags::ConnectionFlags},
        output::{self, escape::printable, exit::Exit},
    },
    settings::{ClientSettings, Flags, Settings},
};

/// Shown below `callboard contract diff --help`.
const AFTER_HELP: &str = "\
OLD and NEW are files that `callboard describe --json` wrote, or services that are served now. A name with a slash, or one
that ends in .json, is a file.

  safe     callers of the old contract are not affected
  unknown  the descriptions are not sufficient: a type is described by its name alone
  breaks   some calls fail, or their results have another type than callers expect; the exit code is then 7

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
    /// Compare two contracts, and check whether old callers are affected
    #[command(after_help = AFTER_HELP)]
    Diff(Diff),
}

#[derive(Debug, Args)]
struct Diff {
    /// Old contract: FILE.json, or a service
    #[arg(value_name = "OLD")]
    old: String,
    /// New contract: FILE.json, or a service
    #[arg(value_name = "NEW")]
    new: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionFlags,
}

impl Contract {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        let Action::Diff(diff) = &self.action;
        diff.connection.flags()
    }

    /// Compares the contracts and prints the changes.
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
        Ok(if breaks { Exit::CheckFailed } else { Exit::Success })
    }
}

fn text(changes: &[Change]) -> String {
    let line = |change: &Change| format!("{:7}  {}", change.verdict, printable(&change.text));
    match changes {
        [] => "no changes for callers".to_owned(),
        changes => changes.iter().map(line).collect::<Vec<_>>().join("\n"),
    }
}

/// Loads a contract from a file or from the broker.
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
    let hint = || format!("{path} is not a description: write one with `callboard describe SERVICE --json > {path}`");
    serde_json::from_str(&json).with_context(hint)
}
