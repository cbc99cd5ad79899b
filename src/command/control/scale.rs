//! `callboard scale`: a pool gets more or fewer workers.

use clap::Args;
use serde::Deserialize;

use super::{
    pool_name,
    report::PoolReport,
    request::{AskArgs, Asking},
};
use crate::{
    command::output::{self, exit::Exit},
    settings::{Flags, Settings},
};

/// Shown below `callboard scale --help`.
const AFTER_HELP: &str = "\
No call fails: who leaves takes no more calls and finishes what runs, the idle first. The pool's own --min and --max
bound what may be asked.

A pool that nobody named is called as its program, with _ for what is no letter or digit: ./calculator-worker is
calculator_worker. Both are understood.

Examples:
  callboard scale calculator 8
  callboard scale calculator 2 --timeout 2m";

/// Change the number of a pool's worker processes, and wait until it has so many
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Scale {
    /// The pool: its name, or its program's
    pool: String,
    /// How many worker processes it is to have
    #[arg(value_name = "NUMBER", value_parser = number)]
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
        let pool = pool_name::meant(&self.pool);
        let asking = Asking::connect(&pool, &self.ask, &settings.client).await?;
        let Scaled { size } = asking.call("scale", (self.size,)).await?;
        let what = format!("{pool} had {size} workers");
        let settled = asking.until(&what, |report: &PoolReport| report.size == size && report.is_settled()).await?;
        asking.leave().await;
        match settled {
            Some(report) => output::print(&format!("{pool} has {} workers", report.registered()))?,
            None => output::print(&format!("{pool} is to have {size} workers"))?,
        }
        Ok(Exit::Fine)
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "how many worker processes the pool is to have is a whole number, such as 8".to_owned())
}
