//! `callboard up`: a broker and its pools as one tree of processes.

mod component;
mod notify;
mod plan;
mod supervisor;
mod watchdog;

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;

use self::{plan::Plan, supervisor::Tree};
use crate::command::output::{self, exit::Exit};

/// The file where none is named.
const FILE: &str = "callboard.toml";

/// Shown below `callboard up --help`.
const AFTER_HELP: &str = "\
The file is the settings file with a table for each pool; [broker], [pool] and [client] hold what all have in common:
  [broker]
  frontend = \"tcp://127.0.0.1:5559\"
  [pools.calculator]
  program = [\"./calculator-worker\"]
  size = 4

The broker is started first, then each pool when the one before is ready; then one line on stdout says so:
  ready frontend=tcp://127.0.0.1:5559 backend=tcp://127.0.0.1:5560 pools=calculator
Whichever ends before that ends it all (exit code 4). Later it is started again, and the others go on meanwhile.
SIGTERM and Ctrl-C stop the pools, the last one first, then the broker; a second one does not wait for running calls.
Under systemd it tells of readiness and feeds the watchdog while the broker answers: docs/callboard.service.";

/// Start a broker and pools from one file, and keep them running
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Up {
    /// The file [default: that of --config, or callboard.toml]
    file: Option<PathBuf>,
    /// Only say whether the file is fine, and what would be started
    #[arg(long)]
    check: bool,
}

impl Up {
    /// Runs everything until it is asked to stop.
    pub(crate) async fn run(self, config: Option<PathBuf>) -> anyhow::Result<Exit> {
        let plan = Plan::read(&found(self.file.or(config))?)?;
        if self.check {
            output::print(&plan.text())?;
            return Ok(Exit::Fine);
        }
        Tree::new(plan).run().await
    }
}

/// The file that was named, or the one that is looked for where none is.
fn found(named: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let hint = match named {
        Some(_) => "",
        None => "; write it (`callboard up --help` shows one), or name another: callboard up FILE",
    };
    let file = named.unwrap_or_else(|| FILE.into());
    match std::fs::File::open(&file) {
        Ok(_) => Ok(file),
        Err(error) => Err(Exit::Usage.because(anyhow!("cannot read the file {}: {error}{hint}", file.display()))),
    }
}
