//! `callboard why`: explains why a call waits.

use std::time::Duration;

use callboard::core::{broker::WaitReason as Waiting, text::HumanDuration};
use clap::Args;

use crate::{
    command::{
        client::{self, flags::ConnectionFlags},
        output::{self, escape::printable, exit::Exit, table},
    },
    settings::{Flags, Settings},
};

/// Shown below `callboard why --help`.
const AFTER_HELP: &str = "\
CALL is the id of a call, as in errors and logs. Without it, the oldest open calls are listed, at most 100.

Examples:
  callboard why
  callboard why 3f9a1c02-17";

/// Explain why an open call waits, or list the open calls
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Why {
    /// The call, such as 3f9a1c02-17
    #[arg(value_name = "CALL")]
    call: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionFlags,
}

impl Why {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Queries the broker and prints the result.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let settings = settings.client;
        let client = client::connect(&settings).await?;
        let call = client.call::<Vec<Waiting>>("callboard.why", (&self.call,));
        let reasons = client::timed(call, &settings).await.map_err(client::failed)?;
        client::leave(&client).await;
        let text = match (&self.call, reasons.as_slice()) {
            _ if self.json => serde_json::to_string(&reasons)?,
            (Some(_), [one]) => sentences(one),
            (_, []) => "no open calls at this broker".to_owned(),
            (_, all) => table(all),
        };
        output::print(&text)?;
        Ok(Exit::Success)
    }
}

/// Explains a call in sentences, one a line.
pub(super) fn sentences(call: &Waiting) -> String {
    let mut lines = vec![
        format!("call {} of {} by {}: {} for {}", call.call, call.method, call.client, call.state, span(call.since_ms)),
        format!("  {}", call.reason),
    ];
    lines.extend(call.behind.iter().map(|behind| format!("  behind {} calls of {}", behind.calls, behind.client)));
    lines.extend((call.behind_others > 0).then(|| format!("  and behind {} others", call.behind_others)));
    lines.extend(call.busy.iter().map(|busy| {
        format!("  {} of {} has run for {} at {}", busy.call, busy.method, span(busy.for_ms), busy.worker)
    }));
    lines.extend(
        (call.lost > 0).then(|| format!("  workers lost with it: {}, the last one {}", call.lost, call.worker)),
    );
    lines.extend(
        call.estimate_ms.map(|wait| format!("  estimated wait: {}, from the recent rate of calls", span(wait))),
    );
    lines.extend(call.left_ms.map(|left| format!("  timeout in {}", span(left))));
    lines.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n")
}

/// Formats milliseconds.
fn span(millis: u64) -> String {
    HumanDuration(Duration::from_millis(millis)).to_string()
}

fn table(calls: &[Waiting]) -> String {
    let rows = calls.iter().map(|one| {
        let since = span(one.since_ms);
        [one.call.clone(), one.method.clone(), one.client.clone(), one.state.clone(), since, one.worker.clone()]
    });
    table::render(["CALL", "METHOD", "CLIENT", "STATE", "FOR", "WORKER"], rows)
}
