//! `callboard reload`: replaces a pool's processes by new ones of its program.

use anyhow::anyhow;
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

/// Shown below `callboard reload --help`.
const AFTER_HELP: &str = "\
To deploy a new version, replace the program's file, then reload. The pool starts as many new workers as it has old
ones. When all serve, they serve beside the old ones for the pool's --canary-period; then the old ones finish their calls
and leave. The pool rolls back if a new worker ends before that, does not register within the pool's --startup-timeout, or
if a larger share of the new workers' calls fails (of ten or more): the new workers leave, the old ones stay, and the exit
code is 8. The program's file is still the new one then: put the old one back, or a later restart uses the new one.

A pool without a --name has the name of its program, with _ in place of other characters than letters and digits:
./calculator-worker gets the name calculator_worker. Both spellings work here.

Example:
  callboard reload calculator";

/// Replace a pool's workers by new ones of its program, without failing a call
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Reload {
    /// The pool: its name, or its program
    pool: String,
    #[command(flatten)]
    request: RequestFlags,
}

#[derive(Deserialize)]
struct RolloutStarted {
    #[serde(rename = "exchange")]
    rollout: u32,
}

impl Reload {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.request.flags()
    }

    /// Sends the request, and waits until the rollout has ended.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let pool = pool_name::resolve(&self.pool);
        let request = PoolRequest::connect(&pool, &self.request, &settings.client).await?;
        let RolloutStarted { rollout } = request.call("reload", ()).await?;
        let over = |report: &PoolReport| match &report.last_rollout {
            Some(ended) if ended.number > rollout => true,
            Some(ended) if ended.number == rollout => ended.rolled_back.is_some() || report.is_settled(),
            _ => false,
        };
        let ended = request.until(&format!("{pool} was reloaded"), over).await?;
        request.leave().await;
        let Some(report) = ended else {
            output::print(&format!("{pool} is being reloaded"))?;
            return Ok(Exit::Success);
        };
        if let Some(why) = report.last_rollout.and_then(|ended| ended.rolled_back) {
            return Err(Exit::RolledBack.because(anyhow!("rolled back, the old workers stay: {why}")));
        }
        output::print(&format!("{pool} reloaded: {} new workers", report.size))?;
        Ok(Exit::Success)
    }
}
