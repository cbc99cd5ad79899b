//! The client that one command needs, and how its failures end the command.

pub(crate) mod contracts;
pub(crate) mod flags;

use std::time::Duration;

use anyhow::anyhow;
use callboard::{CallError, Client, ClientBuilder, Code, ConnectError, ConnectErrorKind};

use crate::{
    command::output::{escape::printable, exit::Exit, json},
    settings::{ClientSettings, Source, Sourced},
};

/// How long a command looks for a broker before it says that there is none, where nobody has set a time-out: who typed it waits
/// for it.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// A client of the broker that the settings name.
///
/// # Errors
/// There is no broker (exit code 3), it will not have us (1), or our key cannot be used (2).
pub(crate) async fn connect(settings: &ClientSettings) -> anyhow::Result<Client> {
    let client = Client::builder(&settings.frontend.value).name("callboard");
    let client = match patience(&settings.timeout) {
        Some(patience) => client.timeout(patience),
        None => client.no_timeout(),
    };
    let key = settings.authkey.keys()?.map(|keys| keys.first().clone());
    let client = key.into_iter().fold(client, ClientBuilder::authkey);
    client.connect().await.map_err(not_connected)
}

/// How long to look for a broker; `None`: for ever. A time-out that somebody has set counts for this, too.
fn patience(timeout: &Sourced<Option<Duration>>) -> Option<Duration> {
    if timeout.source == Source::Default { Some(CONNECT_MAX) } else { timeout.value }
}

fn not_connected(error: ConnectError) -> anyhow::Error {
    let exit = match error.kind() {
        ConnectErrorKind::NoBroker => Exit::NoBroker,
        ConnectErrorKind::BadAddress => Exit::Usage,
        ConnectErrorKind::Rejected => Exit::Failed,
        _ => Exit::GaveUp,
    };
    exit.because(anyhow!(printable(&error.to_string())))
}

/// A call's failure as the end of a command.
pub(crate) fn failed(error: CallError) -> anyhow::Error {
    let exit = match error.code() {
        Code::DeadlineExceeded => Exit::NoBroker,
        _ => Exit::Failed,
    };
    // What the error carries is for people to see as well; what cannot be shown is left out.
    let details = (!error.encoded_details().is_empty()).then(|| json::json_of(error.encoded_details()).ok()).flatten();
    let told = printable(&error.to_string());
    match (details, error.call_id()) {
        (Some(details), _) => exit.because(anyhow!("{told}\n  details: {details}")),
        // Where the time went explains what was too late, or lost; of other failures it is noise.
        (None, Some(call)) if error.code() == Code::DeadlineExceeded || is_lost(&error) => {
            exit.because(anyhow!("{told}; call {call}: {}", error.spent()))
        }
        (None, _) => exit.because(anyhow!(told)),
    }
}

/// Whether the call was at a worker that is not there any more.
fn is_lost(error: &CallError) -> bool {
    error.code() == Code::Unavailable && error.attempt().is_some()
}

/// The call's time-out as the settings say.
pub(crate) fn timed<T>(call: callboard::Call<T>, settings: &ClientSettings) -> callboard::Call<T> {
    match settings.timeout.value {
        Some(timeout) => call.timeout(timeout),
        None => call.no_timeout(),
    }
}

/// Says goodbye, so that the broker does not wait for this client to come back.
pub(crate) async fn leave(client: &Client) {
    // What was asked has been answered: a broker that is gone since is no failure.
    let _ = client.close().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_out_that_was_set_counts_for_connecting() {
        let of = |value, source| patience(&Sourced { value, source });
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(of(seconds(30), Source::Default), seconds(3));
        assert_eq!(of(seconds(20), Source::Flag("--timeout")), seconds(20));
        assert_eq!(of(seconds(1), Source::Environment("CALLBOARD_CLIENT_TIMEOUT")), seconds(1));
        assert_eq!(of(None, Source::Flag("--timeout")), None);
    }
}
