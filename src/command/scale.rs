//! `callboard scale`: a pool gets more or fewer workers.

use clap::Args;
use serde::Deserialize;

use super::{
    exit::Exit,
    output,
    pool::ask::{AskArgs, Asking},
    pool::report::PoolReport,
};
use crate::settings::{Flags, Settings};

/// Shown below `callboard scale --help`.
const AFTER_HELP: &str = "\
No call fails: who leaves takes no more calls and finishes what runs, the idle first. The pool's own --min and --max
bound what may be asked.

Examples:
  callboard scale calculator 8
  callboard scale calculator 2 --timeout 2m";

/// Change the number of a pool's worker processes, and wait until it has so many
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Scale {
    /// The pool
    pool: String,
    /// How many worker processes it is to have
    #[arg(value_name = "NUMBER")]
    size: u32,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Deserialize)]
struct Scaled {
    size: u32,
}

impl Scale {
    /// The settings that were typed as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.ask.flags()
    }

    /// Asks the pool.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let asking = Asking::connect(&self.pool, &self.ask, &settings.client).await?;
        let Scaled { size } = asking.call("scale", (self.size,)).await?;
        let what = format!("{} had {size} workers", self.pool);
        let settled = asking.until(&what, |report: &PoolReport| report.size == size && report.is_settled()).await?;
        asking.leave().await;
        match settled {
            Some(report) => output::print(&format!("{} has {} workers", self.pool, report.registered()))?,
            None => output::print(&format!("{} is to have {size} workers", self.pool))?,
        }
        Ok(Exit::Fine)
    }
}
