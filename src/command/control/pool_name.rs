//! Names of pools on the command line.

use anyhow::anyhow;
use callboard::{
    Client,
    core::{broker::ServiceStatus, wire::method::is_identifier},
    pool::pool_name,
};

use crate::{
    command::{client, output::exit::Exit},
    settings::ClientSettings,
};

/// The prefix of the name of a pool's control service.
pub(crate) const POOL_PREFIX: &str = "callboard.pool.";

/// Returns the name of a pool that is given by its name, or by its program as it was typed.
pub(crate) fn resolve(word: &str) -> String {
    if is_identifier(word) { word.to_owned() } else { pool_name(word.as_ref(), &[]) }
}

/// Returns the error for an unknown pool, with the names of the pools that exist.
pub(crate) async fn not_found(client: &Client, pool: &str, settings: &ClientSettings) -> anyhow::Error {
    let call = client.call::<Vec<ServiceStatus>>("callboard.services", ());
    let services = match client::timed(call, settings).await {
        Ok(services) => services,
        Err(error) => return client::failed(error),
    };
    let served = services.iter().filter(|service| service.workers > 0);
    let pools: Vec<_> = served.filter_map(|service| service.name.strip_prefix(POOL_PREFIX)).collect();
    let hint = if pools.is_empty() {
        "no pool is registered".to_owned()
    } else {
        format!("registered pools: {}", pools.join(", "))
    };
    Exit::Failed.because(anyhow!("unknown pool {pool}; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_given_by_its_name_or_its_program() {
        for word in ["calculator_worker", "calculator-worker", "./bin/calculator-worker"] {
            assert_eq!(resolve(word), "calculator_worker");
        }
    }
}
