//! Queries the broker once a second, and at once when the screen shows another list.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use callboard::{
    CallError, Client,
    core::{
        body::Arguments,
        broker::{LimitsStatus, Status as BrokerStatus},
        text::HumanDuration,
    },
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use super::model::{
    snapshot::{Detail, Query, Snapshot},
    tab::Tab,
};
use crate::{
    command::{
        client,
        inspect::{dead, status::snapshot::StatusSnapshot, why},
        output,
    },
    settings::ClientSettings,
};

/// The time between two polls.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The time after which a poll without an answer fails, and is made again.
const POLL_TIMEOUT: Duration = Duration::from_secs(5);

/// Polls until the screen is closed.
pub(crate) async fn run(
    client: Client,
    settings: Arc<ClientSettings>,
    mut query: watch::Receiver<Query>,
    polled: mpsc::Sender<Result<Box<Snapshot>, String>>,
) {
    loop {
        let wanted = query.borrow_and_update().clone();
        if !wanted.is_paused {
            let result = match timeout(POLL_TIMEOUT, poll(&client, &settings, &wanted)).await {
                Ok(result) => result.map(Box::new).map_err(|error| output::message(&error)),
                Err(_) => Err(format!("no answer within {}", HumanDuration(POLL_TIMEOUT))),
            };
            if polled.send(result).await.is_err() {
                return;
            }
        }
        tokio::select! {
            // Cancel safe: a timer.
            () = sleep(POLL_INTERVAL) => {}
            // Cancel safe: a change is seen by the next call.
            changed = query.changed() => if changed.is_err() { return },
        }
    }
}

async fn poll(client: &Client, settings: &ClientSettings, query: &Query) -> anyhow::Result<Snapshot> {
    let broker = ask::<BrokerStatus>(client, "status", ()).await.map_err(client::failed)?;
    // A client that is not an operator cannot read all of the rest. The screen shows why.
    let mut snapshot = Snapshot {
        taken: Instant::now(),
        limits: ask::<LimitsStatus>(client, "limits", ()).await.unwrap_or_default(),
        status: StatusSnapshot::of(client, broker).await,
        methods: None,
        calls: None,
        dead_letters: None,
        detail: None,
    };
    match query.tab {
        Tab::Methods => snapshot.methods = Some(ask(client, "services", ()).await.map_err(refused)),
        Tab::Calls => snapshot.calls = Some(ask(client, "why", (None::<String>,)).await.map_err(refused)),
        Tab::DeadLetters => snapshot.dead_letters = Some(ask(client, "dead", ()).await.map_err(refused)),
        Tab::Services | Tab::Workers | Tab::Pools => {}
    }
    if let Some(detail) = &query.detail {
        let text = show(client, settings, detail).await.map_err(|error| output::message(&error));
        snapshot.detail = Some((detail.clone(), text));
    }
    Ok(snapshot)
}

/// Calls a method of the broker.
async fn ask<T: DeserializeOwned + Send + 'static>(
    client: &Client,
    method: &str,
    arguments: impl Arguments,
) -> Result<T, CallError> {
    client.call::<T>(format!("callboard.{method}"), arguments).timeout(POLL_TIMEOUT).await
}

fn refused(error: CallError) -> String {
    error.to_string()
}

async fn show(client: &Client, settings: &ClientSettings, detail: &Detail) -> anyhow::Result<String> {
    match detail {
        Detail::DeadLetter(id) => dead::show(client, settings, *id, false).await,
        Detail::Call(call) => {
            let reasons = ask::<Vec<_>>(client, "why", (call,)).await.map_err(client::failed)?;
            reasons.first().map(why::sentences).ok_or_else(|| anyhow!("the broker has no information about {call}"))
        }
    }
}
