//! `callboard why`: what a call waits for.

use callboard::core::broker::WaitReason as Waiting;
use clap::Args;

use crate::{
    command::{
        client::{self, flags::Connection},
        output::{self, escape::printable, exit::Exit, table},
    },
    settings::{Flags, Settings},
};

const AFTER_HELP: &str = "\
CALL is a call's id as errors and logs show it. Without it the oldest open calls are listed, 100 at most.

Examples:
  callboard why
  callboard why 3f9a1c02-17";

/// Tell what an open call waits for, or list the open calls
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Why {
    /// The call, as in 3f9a1c02-17
    #[arg(value_name = "CALL")]
    call: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Why {
    /// The settings that were typed as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Asks the broker and prints its answer.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let settings = settings.client;
        let client = client::connect(&settings).await?;
        let call = client.call::<Vec<Waiting>>("callboard.why", (&self.call,));
        let told = client::timed(call, &settings).await.map_err(client::failed)?;
        client::leave(&client).await;
        let text = match (&self.call, told.as_slice()) {
            _ if self.json => serde_json::to_string(&told)?,
            (Some(_), [one]) => sentences(one),
            (_, []) => "no call is open at this broker".to_owned(),
            (_, all) => table(all),
        };
        output::print(&text)?;
        Ok(Exit::Fine)
    }
}

fn sentences(told: &Waiting) -> String {
    let mut lines = vec![
        format!("call {} of {} by {}: {} for {} ms", told.call, told.method, told.client, told.state, told.since_ms),
        format!("  {}", told.reason),
    ];
    lines.extend(told.behind.iter().map(|behind| format!("  behind {} calls of {}", behind.calls, behind.client)));
    lines.extend((told.behind_others > 0).then(|| format!("  and behind {} others", told.behind_others)));
    lines.extend(
        told.busy.iter().map(|busy| {
            format!("  {} of {} has run for {} ms at {}", busy.call, busy.method, busy.for_ms, busy.worker)
        }),
    );
    lines.extend(
        (told.lost > 0).then(|| format!("  workers lost with it: {}, the last one {}", told.lost, told.worker)),
    );
    lines.extend(told.estimate_ms.map(|wait| format!("  its turn comes in about {wait} ms, as calls went lately")));
    lines.extend(told.left_ms.map(|left| format!("  {left} ms are left to it")));
    lines.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n")
}

fn table(told: &[Waiting]) -> String {
    let rows = told.iter().map(|one| {
        let since = format!("{} ms", one.since_ms);
        [one.call.clone(), one.method.clone(), one.client.clone(), one.state.clone(), since, one.worker.clone()]
    });
    table::render(["CALL", "METHOD", "CLIENT", "STATE", "FOR", "WORKER"], rows)
}
