//! `callboard scale`: changes the number of a pool's workers.

use clap::Args;
use serde::Deserialize;

use super::{
    pool_name,
    report::PoolReport,
    request::{PoolRequest, RequestFlags},
};
use crate::{
    command::output::{self, exit::Exit},
    settings::{Flags, Settings},
};

/// Shown below `callboard scale --help`.
const AFTER_HELP: &str = "\
No call fails: idle workers leave first, and a worker that leaves takes no more calls and finishes those that run. The
size must be within the pool's --min and --max.

A pool without a --name has the name of its program, with _ in place of other characters than letters and digits:
./calculator-worker gets the name calculator_worker. Both spellings work here.

Examples:
  callboard scale calculator 8
  callboard scale calculator 2 --timeout 2m";

/// Change the number of a pool's worker processes, and wait until the change is done
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Scale {
    /// The pool: its name, or its program
    pool: String,
    /// The new number of worker processes
    #[arg(value_name = "NUMBER", value_parser = number, allow_negative_numbers = true)]
    size: u32,
    #[command(flatten)]
    request: RequestFlags,
}

#[derive(Deserialize)]
struct Scaled {
    size: u32,
}

impl Scale {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.request.flags()
    }

    /// Sends the request, and waits until the pool has that size.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let pool = pool_name::resolve(&self.pool);
        let request = PoolRequest::connect(&pool, &self.request, &settings.client).await?;
        let Scaled { size } = request.call("scale", (self.size,)).await?;
        let what = format!("{pool} had {size} workers");
        let settled = request.until(&what, |report: &PoolReport| report.size == size && report.is_settled()).await?;
        request.leave().await;
        match settled {
            Some(report) => output::print(&format!("{pool} has {} workers", report.registered()))?,
            None => output::print(&format!("{pool} scales to {size} workers"))?,
        }
        Ok(Exit::Success)
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "write a whole number, such as 8".to_owned())
}
