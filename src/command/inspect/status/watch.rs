//! `callboard status --watch`: shows the status again every second.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use callboard::{Client, core::text::HumanDuration};
use tokio::time::{sleep, timeout};

use super::{
    snapshot::{StatusSnapshot, query_broker},
    tables,
};
use crate::{
    command::{
        output::{self, exit::Exit, screen::AlternateScreen},
        process::signals::StopSignals,
    },
    settings::ClientSettings,
};

/// The time between two statuses.
const INTERVAL: Duration = Duration::from_secs(1);
/// The time without an answer after which this is reported, and again after each such time.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// Shows the status until a signal. The drop of the screen restores the terminal.
pub(super) async fn run(is_json: bool, client: &Client, settings: &ClientSettings) -> anyhow::Result<Exit> {
    let mut signals = StopSignals::catch().context("cannot catch signals")?;
    let screen = if is_json { None } else { AlternateScreen::enter()? };
    tokio::select! {
        // Dropped at a signal: its drop cancels its calls.
        ended = repeat(is_json, client, settings, screen.as_ref()) => ended,
        // Cancel safe: it only waits.
        exit = signals.next() => Ok(exit),
    }
}

/// Shows the status repeatedly, also while the broker is down, so that the user sees it return.
async fn repeat(
    is_json: bool,
    client: &Client,
    settings: &ClientSettings,
    screen: Option<&AlternateScreen>,
) -> anyhow::Result<Exit> {
    let (mut last, mut answered) = (String::new(), Instant::now());
    loop {
        let mut query = pin!(query_broker(client, settings));
        let answer = loop {
            // The query continues: it is dropped below, or with this loop.
            match timeout(SILENCE_MAX, &mut query).await {
                Ok(answer) => break answer,
                Err(_) => show_silence(screen, answered.elapsed(), &last)?,
            }
        };
        match (answer, screen) {
            (Ok(broker), _) => {
                answered = Instant::now();
                last = tables::format(&StatusSnapshot::of(client, broker).await, is_json)?;
                show(is_json, screen, &last)?;
            }
            (Err(error), Some(screen)) => screen.show(&format!("error: {}\n\n{last}", output::message(&error)))?,
            (Err(error), None) => output::error(&error),
        }
        sleep(INTERVAL).await;
    }
}

fn show(is_json: bool, screen: Option<&AlternateScreen>, text: &str) -> anyhow::Result<()> {
    match screen {
        Some(screen) => screen.show(text),
        None if is_json => output::print(text),
        None => output::print(&format!("{text}\n")),
    }
}

/// Reports that the broker does not answer: an old status must not look like a current one.
fn show_silence(screen: Option<&AlternateScreen>, silence: Duration, last: &str) -> anyhow::Result<()> {
    let notice = format!("no answer from the broker for {}", HumanDuration(Duration::from_secs(silence.as_secs())));
    match screen {
        Some(screen) if last.is_empty() => screen.show(&notice),
        Some(screen) => screen.show(&format!("{notice}; the last status:\n\n{last}")),
        None => {
            output::note(&notice);
            Ok(())
        }
    }
}
