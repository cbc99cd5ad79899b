//! `callboard reload`: a pool's processes are exchanged for new ones of its program.

use anyhow::anyhow;
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

/// Shown below `callboard reload --help`.
const AFTER_HELP: &str = "\
For a new version: put the program in the old one's place, then reload. As many new workers as there are old ones are
started; when all serve, they prove themselves beside the old ones for the pool's --canary-period; then the old ones leave and
finish what they run. If a new one ends before that, does not register within the pool's --startup-timeout, or more of their calls
fail than of the old ones' (of ten or more), the new ones leave, the old ones stay, and the exit code is 4. The file is then still the
new one: put the old one back, or a worker that is restarted later starts from it.

A pool that nobody named is called as its program, with _ for what is no letter or digit: ./calculator-worker is
calculator_worker. Both are understood.

Example:
  callboard reload calculator";

/// Exchange a pool's workers for new ones of its program, without a call that fails
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Reload {
    /// The pool: its name, or its program's
    pool: String,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Deserialize)]
struct Begun {
    exchange: u32,
}

impl Reload {
    /// The settings that were typed as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.ask.flags()
    }

    /// Asks the pool.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let pool = pool_name::meant(&self.pool);
        let asking = Asking::connect(&pool, &self.ask, &settings.client).await?;
        let Begun { exchange } = asking.call("reload", ()).await?;
        let over = |report: &PoolReport| match &report.exchanged {
            Some(ended) if ended.number > exchange => true,
            Some(ended) if ended.number == exchange => ended.rolled_back.is_some() || report.is_settled(),
            _ => false,
        };
        let ended = asking.until(&format!("{pool} was reloaded"), over).await?;
        asking.leave().await;
        let Some(report) = ended else {
            output::print(&format!("{pool} is being reloaded"))?;
            return Ok(Exit::Fine);
        };
        if let Some(why) = report.exchanged.and_then(|ended| ended.rolled_back) {
            return Err(Exit::GaveUp.because(anyhow!("rolled back, the old workers stay: {why}")));
        }
        output::print(&format!("{pool} reloaded: {} new workers", report.size))?;
        Ok(Exit::Fine)
    }
}
