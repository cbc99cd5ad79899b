//! The contracts of a service, as its workers describe them.

use std::time::{Duration, Instant};

use callboard::{
    CallError, Client, Code,
    core::{
        body,
        broker::{Contract, ServiceContracts},
        contract::ServiceDescription,
        text::HumanDuration,
        wire::status::{Executed, Failure},
    },
};
use tokio::time::sleep;

use crate::{command::client, settings::ClientSettings};

/// The poll interval of a command that waits for a service: short for a user, and no load for the broker.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Returns the contracts that the workers of a service describe, the most frequent one first.
///
/// # Errors
/// No worker serves it, the broker is too old for this query, or it does not answer.
pub(crate) async fn query(
    client: &Client,
    service: &str,
    settings: &ClientSettings,
) -> Result<Vec<Contract>, CallError> {
    let call = client.call::<ServiceContracts>("callboard.describe", (service,));
    client::timed(call, settings).await.map(|contracts| contracts.contracts)
}

/// Returns the description that most workers of a service give; `None` if no description can be read.
///
/// # Errors
/// As for [`query`].
pub(crate) async fn description(
    client: &Client,
    service: &str,
    settings: &ClientSettings,
) -> Result<Option<ServiceDescription>, CallError> {
    Ok(query(client, service, settings).await?.iter().find_map(read))
}

/// Returns the description of a service before a call of it. `None` if there is none, since the call itself then
/// reports the problem, or if the workers disagree.
pub(crate) async fn description_if_any(
    client: &Client,
    service: &str,
    settings: &ClientSettings,
) -> Result<Option<ServiceDescription>, CallError> {
    match query(client, service, settings).await {
        Err(error) if matches!(error.code(), Code::Unavailable | Code::Unimplemented) => Ok(None),
        // If workers disagree, it is not known which of them will get the call.
        Ok(contracts) if contracts.len() > 1 => Ok(None),
        contracts => Ok(contracts?.first().and_then(read)),
    }
}

/// Waits until a worker serves a service, at most for the timeout of a call. Returns the remaining timeout.
///
/// # Errors
/// No worker did (exit code 5), or the broker does not answer.
pub(crate) async fn wait(
    client: &Client,
    service: &str,
    settings: &ClientSettings,
) -> anyhow::Result<Option<Duration>> {
    let (started, timeout) = (Instant::now(), settings.timeout.value);
    let left = || timeout.map(|timeout| timeout.saturating_sub(started.elapsed()));
    loop {
        match query(client, service, settings).await {
            Err(error) if error.code() == Code::Unavailable => {}
            Err(error) if error.code() != Code::Unimplemented => return Err(client::failed(error)),
            _ => return Ok(left()),
        }
        // The broker sends clients no event for it.
        sleep(left().map_or(POLL_INTERVAL, |left| left.min(POLL_INTERVAL))).await;
        if let (Some(timeout), Some(Duration::ZERO)) = (timeout, left()) {
            let why = format!("no worker has served {service} within {}", HumanDuration(timeout));
            return Err(client::failed(CallError::from(Box::new(Failure::new(
                Code::DeadlineExceeded,
                Executed::No,
                why,
            )))));
        }
    }
}

/// Returns the description of a contract, if it can be read.
pub(crate) fn read(contract: &Contract) -> Option<ServiceDescription> {
    body::decode(contract.description.as_deref()?).ok()
}
