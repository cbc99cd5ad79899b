//! The client of a command, and the exit codes of its failures.

pub(crate) mod contracts;
pub(crate) mod failure;
pub(crate) mod flags;

use std::time::Duration;

use anyhow::anyhow;
use callboard::{CallError, Client, ConnectError, ConnectErrorKind};

use self::failure::CallFailure;
use crate::{
    command::output::{escape::printable, exit::Exit},
    settings::{ClientSettings, Source, Sourced},
};

/// The time that a command tries to reach a broker, if no timeout is set. It is short, since a user waits for the command.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// Connects to the broker of the settings.
///
/// # Errors
/// There is no broker (exit code 3), it rejects this client (6), or the key is not usable (2).
pub(crate) async fn connect(settings: &ClientSettings) -> anyhow::Result<Client> {
    let client = Client::builder(&settings.frontend.value).name("callboard");
    let client = match connect_timeout(&settings.timeout) {
        Some(timeout) => client.timeout(timeout),
        None => client.no_timeout(),
    };
    let client = settings.credentials.read()?.add_to_client(client);
    client.connect().await.map_err(not_connected)
}

/// Returns the timeout for connecting; `None`: no timeout. A timeout that is set applies to connecting, too.
fn connect_timeout(timeout: &Sourced<Option<Duration>>) -> Option<Duration> {
    if timeout.source == Source::Default { Some(CONNECT_MAX) } else { timeout.value }
}

fn not_connected(error: ConnectError) -> anyhow::Error {
    let exit = match error.kind() {
        ConnectErrorKind::NoBroker => Exit::NoBroker,
        ConnectErrorKind::BadAddress => Exit::Usage,
        ConnectErrorKind::Rejected => Exit::Rejected,
        _ => Exit::GaveUp,
    };
    exit.because(anyhow!(printable(&error.to_string())))
}

/// Returns the failure of a call as the error that ends a command.
pub(crate) fn failed(error: CallError) -> anyhow::Error {
    CallFailure::new(error).into_error()
}

/// Sets the timeout of a call from the settings.
pub(crate) fn timed<T>(call: callboard::Call<T>, settings: &ClientSettings) -> callboard::Call<T> {
    match settings.timeout.value {
        Some(timeout) => call.timeout(timeout),
        None => call.no_timeout(),
    }
}

/// Closes the client, so that the broker does not wait for it to reconnect.
pub(crate) async fn leave(client: &Client) {
    // The result has arrived. A broker that has ended since then is not a failure.
    let _ = client.close().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_that_is_set_applies_to_connecting() {
        let of = |value, source| connect_timeout(&Sourced { value, source });
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(of(seconds(30), Source::Default), seconds(3));
        assert_eq!(of(seconds(20), Source::Flag("--timeout")), seconds(20));
        assert_eq!(of(seconds(1), Source::Environment("CALLBOARD_CLIENT_TIMEOUT")), seconds(1));
        assert_eq!(of(None, Source::Flag("--timeout")), None);
    }
}
