//! A request to the broker that changes something.

use callboard::core::body::Arguments;

use crate::{command::client, settings::ClientSettings};

/// Calls a method of the broker that changes something. Returns how many calls or workers it concerns.
///
/// # Errors
/// There is no broker, or it refuses the change.
pub(super) async fn operate(
    settings: &ClientSettings,
    method: &str,
    arguments: impl Arguments,
) -> anyhow::Result<usize> {
    let client = client::connect(settings).await?;
    let call = client.call::<usize>(format!("callboard.{method}"), arguments);
    let count = client::timed(call, settings).await.map_err(client::failed)?;
    client::leave(&client).await;
    Ok(count)
}

/// Returns a number with its noun, such as `1 call` or `3 calls`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
