//! What a service is, by its workers' word.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use callboard::{
    CallError, Client, Code,
    core::{
        body,
        broker::{Contract, ServiceContracts},
        contract::ServiceDescription,
    },
};
use tokio::time::sleep;

use crate::{
    command::{client, output::exit::Exit},
    settings::ClientSettings,
};

/// How often who waits for a service asks for it: soon enough for people, and next to nothing for the broker.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What the workers of a service say that it is, the one that most say first.
///
/// # Errors
/// Nobody serves it, the broker is older than this question, or it does not answer.
pub(crate) async fn contracts(
    client: &Client,
    service: &str,
    settings: &ClientSettings,
) -> Result<Vec<Contract>, CallError> {
    let call = client.call::<ServiceContracts>("callboard.describe", (service,));
    client::timed(call, settings).await.map(|said| said.contracts)
}

/// What most workers of a service say that it is; `None` where the broker has no description of it that can be read.
///
/// # Errors
/// As for [`contracts`].
pub(crate) async fn description(
    client: &Client,
    service: &str,
    settings: &ClientSettings,
) -> Result<Option<ServiceDescription>, CallError> {
    Ok(contracts(client, service, settings).await?.iter().find_map(read))
}

/// The same, of a service that is about to be called: where it is not to be had, the call itself tells what is wrong.
pub(crate) async fn description_if_any(
    client: &Client,
    service: &str,
    settings: &ClientSettings,
) -> Result<Option<ServiceDescription>, CallError> {
    match contracts(client, service, settings).await {
        Err(error) if matches!(error.code(), Code::Unavailable | Code::Unimplemented) => Ok(None),
        // Where workers do not agree, nobody knows which of them will get the call.
        Ok(said) if said.len() > 1 => Ok(None),
        said => Ok(said?.first().and_then(read)),
    }
}

/// Waits until somebody serves a service, at most as long as a call may take: what is still left of that.
///
/// # Errors
/// Nobody did (exit code 3), or the broker does not answer.
pub(crate) async fn wait(
    client: &Client,
    service: &str,
    settings: &ClientSettings,
) -> anyhow::Result<Option<Duration>> {
    let (begun, timeout) = (Instant::now(), settings.timeout.value);
    let left = || timeout.map(|timeout| timeout.saturating_sub(begun.elapsed()));
    loop {
        match contracts(client, service, settings).await {
            Err(error) if error.code() == Code::Unavailable => {}
            Err(error) if error.code() != Code::Unimplemented => return Err(client::failed(error)),
            _ => return Ok(left()),
        }
        // No event tells of it to a client.
        sleep(left().map_or(ASK_AGAIN_AFTER, |left| left.min(ASK_AGAIN_AFTER))).await;
        if let (Some(timeout), Some(Duration::ZERO)) = (timeout, left()) {
            let code = Code::DeadlineExceeded;
            let why = anyhow!("{code}: nobody has served {service} within {timeout:?} (executed: no)");
            return Err(Exit::NoBroker.because(why));
        }
    }
}

/// The description that came, if it can be read.
pub(crate) fn read(contract: &Contract) -> Option<ServiceDescription> {
    body::decode(contract.description.as_deref()?).ok()
}
