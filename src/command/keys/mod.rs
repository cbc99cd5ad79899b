//! `callboard keys`: the file of the peers that a broker knows.

mod add;
mod check;
mod error;
mod key_flags;
mod list;
mod make;
mod revoke;

use std::path::Path;

use anyhow::anyhow;
use clap::{Args, Subcommand};

use crate::{
    command::output::exit::Exit,
    settings::{BrokerSettings, Flags, Settings},
};

/// Shown below `callboard keys --help`.
const AFTER_HELP: &str = "\
The file is that of the broker: --peers-file, CALLBOARD_PEERS_FILE, or peers_file in [broker] of the settings file.
A running broker reads a changed file when it gets SIGHUP.

Examples:
  callboard keys --peers-file peers.toml make web --call 'calculator.*' --call users.get
  callboard keys --peers-file peers.toml make farm --serve users --pool users --public-key-file farm.public
  callboard keys --peers-file peers.toml check
  callboard keys --peers-file peers.toml add web --public-key-file web-2.public
  callboard keys --peers-file peers.toml revoke web --old
  callboard keys --peers-file peers.toml revoke web";

/// List, check, make and revoke the peers that may connect to a broker, and replace their keys
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Keys {
    /// File of the peers that may connect, with their rights
    #[arg(long, global = true, value_name = "FILE")]
    peers_file: Option<String>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(list::List),
    Check(check::Check),
    Make(make::Make),
    Add(add::Add),
    Revoke(revoke::Revoke),
}

impl Keys {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        let flags = match &self.action {
            Action::Check(check) => check.flags(),
            Action::List(_) | Action::Make(_) | Action::Add(_) | Action::Revoke(_) => Flags::default(),
        };
        flags.with("--peers-file", self.peers_file.as_ref())
    }

    /// Runs the action.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let file = path_of(&settings.broker)?.to_owned();
        match self.action {
            Action::List(list) => list.run(&file),
            Action::Check(check) => check.run(&file, &settings).await,
            Action::Make(make) => make.run(&file),
            Action::Add(add) => add.run(&file),
            Action::Revoke(revoke) => revoke.run(&file),
        }
    }
}

/// Returns the path of the file of peers.
fn path_of(settings: &BrokerSettings) -> anyhow::Result<&Path> {
    let missing =
        || Exit::Usage.because(anyhow!("no peers file is set: pass --peers-file FILE, or set CALLBOARD_PEERS_FILE"));
    settings.peers_file.as_ref().map(|file| Path::new(&file.value)).ok_or_else(missing)
}
