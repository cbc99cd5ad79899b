//! `callboard up`: runs a broker and its pools as one process tree.

mod admin;
mod component;
mod credentials;
mod notify;
mod plan;
mod supervisor;
mod watchdog;

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;

use self::{notify::Notify, plan::Plan, supervisor::Supervisor};
use crate::command::{
    logging::Format,
    output::{self, exit::Exit},
};

/// The default file.
const FILE: &str = "callboard.toml";

/// Shown below `callboard up --help`.
const AFTER_HELP: &str = "\
The file is the settings file with a table for each pool. [broker], [pool] and [client] hold the common settings:
  [broker]
  frontend = \"tcp://127.0.0.1:5559\"
  [pools.calculator]
  program = [\"./calculator-worker\"]
  size = 4

The broker starts first, then each pool when the one before it is ready. When all are ready, one line is printed on stdout:
  ready frontend=tcp://127.0.0.1:5559 backend=tcp://127.0.0.1:5560 pools=calculator
If a process ends before that, all end (exit code 4). Later, a process that ends is restarted, and the others continue.
SIGTERM and Ctrl-C stop the pools, the last one first, then the broker; a second signal does not wait for running calls.
Under systemd it reports readiness, and feeds the watchdog while the broker answers: deploy/systemd/callboard.service.";

/// Start a broker and pools from one file, and keep them running
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Up {
    /// The file [default: that of --config, or callboard.toml]
    file: Option<PathBuf>,
    /// Address for metrics and health of the broker and all pools over HTTP [default: admin in [broker], or none]
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// Check the file and print what it would start, without starting it
    #[arg(long)]
    check: bool,
}

impl Up {
    /// Runs everything until it is asked to stop.
    pub(crate) async fn run(self, config: Option<PathBuf>, log_format: Option<Format>) -> anyhow::Result<Exit> {
        let plan = Plan::read(&find_file(self.file.or(config))?, self.admin.as_ref())?.with_log_format(log_format);
        let problem = plan.is_watchdog_rejected.then_some(credentials::REJECTED);
        if self.check {
            problem.into_iter().for_each(output::warn);
            output::print(&plan.text())?;
            return Ok(Exit::Success);
        }
        match problem {
            // systemd would restart everything again and again.
            Some(problem) if Notify::from_environment().watchdog().is_some() => {
                Err(Exit::Usage.because(anyhow!(problem)))
            }
            _ => Supervisor::new(plan)?.run().await,
        }
    }
}

/// Returns the file that was given, or the default one, if it can be read.
fn find_file(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let hint = match given {
        Some(_) => "",
        None => "; write one (`callboard up --help` shows an example), or give another: callboard up FILE",
    };
    let file = given.unwrap_or_else(|| FILE.into());
    match std::fs::File::open(&file) {
        Ok(_) => Ok(file),
        Err(error) => Err(Exit::Usage.because(anyhow!("cannot read the file {}: {error}{hint}", file.display()))),
    }
}
