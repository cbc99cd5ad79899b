//! Sends the requests of the operator.

use callboard::{Client, core::body::Arguments, pool::service_name};
use ciborium::Value;

use super::model::action::{Action, Target};
use crate::{
    command::{
        client,
        inspect::dead,
        operate::request::{counted, operate_with},
    },
    settings::ClientSettings,
};

/// Performs an action. Returns a sentence about what has happened.
///
/// # Errors
/// The broker or the pool refuses it, or does not answer.
pub(crate) async fn perform(client: &Client, settings: &ClientSettings, action: &Action) -> anyhow::Result<String> {
    Ok(match action {
        Action::Scale { pool, size, .. } => {
            ask_pool(client, settings, pool, "scale", (size,)).await?;
            format!("{pool} scales to {size} workers")
        }
        Action::Reload { pool } => {
            ask_pool(client, settings, pool, "reload", ()).await?;
            format!("{pool} is being reloaded")
        }
        Action::Pause(Target::Calls(target)) => {
            let waiting = operate_with(client, settings, "pause", (target,)).await?;
            format!("{target} is paused; waiting at its service: {}", counted(waiting, "call"))
        }
        Action::Pause(Target::Worker(worker)) => {
            operate_with(client, settings, "pause_worker", (worker,)).await?;
            format!("worker {worker} is paused")
        }
        Action::Resume(Target::Calls(target)) => {
            operate_with(client, settings, "resume", (target,)).await?;
            format!("{target} is resumed")
        }
        Action::Resume(Target::Worker(worker)) => {
            operate_with(client, settings, "resume_worker", (worker,)).await?;
            format!("worker {worker} is resumed")
        }
        Action::Cancel { call, .. } => {
            operate_with(client, settings, "cancel", (call,)).await?;
            format!("{call} is cancelled")
        }
        Action::Drain { worker } => {
            operate_with(client, settings, "drain_worker", (worker,)).await?;
            format!("worker {worker} drains")
        }
        Action::Purge { target, .. } => {
            let ended = operate_with(client, settings, "purge", (target,)).await?;
            format!("{} of {target} ended", counted(ended, "waiting call"))
        }
        Action::Resend { id, method } => {
            let result = dead::resend(client, settings, *id).await?;
            format!("{method} returned {result}; dead letter {id} is dropped")
        }
        Action::Drop { id, .. } => dead::drop_letter(client, settings, *id).await?,
    })
}

async fn ask_pool(
    client: &Client,
    settings: &ClientSettings,
    pool: &str,
    method: &str,
    arguments: impl Arguments,
) -> anyhow::Result<()> {
    let call = client.call::<Value>(format!("{}.{method}", service_name(pool)), arguments);
    client::timed(call, settings).await.map(drop).map_err(client::failed)
}
