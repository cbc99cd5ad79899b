//! A request to the broker that changes something.

use callboard::{Client, core::body::Arguments};

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
    let count = operate_with(&client, settings, method, arguments).await?;
    client::leave(&client).await;
    Ok(count)
}

/// The same as [`operate`], with a client that is connected.
///
/// # Errors
/// As for [`operate`].
pub(crate) async fn operate_with(
    client: &Client,
    settings: &ClientSettings,
    method: &str,
    arguments: impl Arguments,
) -> anyhow::Result<usize> {
    let call = client.call::<usize>(format!("callboard.{method}"), arguments);
    client::timed(call, settings).await.map_err(client::failed)
}

/// Returns a number with its noun, such as `1 call` or `3 calls`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
