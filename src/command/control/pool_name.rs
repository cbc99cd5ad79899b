//! Pools as they are named on the command line.

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

/// What comes before a pool's name in the name of its service.
pub(crate) const POOL_PREFIX: &str = "callboard.pool.";

/// The name of the pool that is meant by its name, or by its program as people spell it.
pub(crate) fn meant(word: &str) -> String {
    if is_identifier(word) { word.to_owned() } else { pool_name(word.as_ref(), &[]) }
}

/// That there is no pool of this name, with those that there are.
pub(crate) async fn none(client: &Client, pool: &str, settings: &ClientSettings) -> anyhow::Error {
    let call = client.call::<Vec<ServiceStatus>>("callboard.services", ());
    let services = match client::timed(call, settings).await {
        Ok(services) => services,
        Err(error) => return client::failed(error),
    };
    let served = services.iter().filter(|service| service.workers > 0);
    let pools: Vec<_> = served.filter_map(|service| service.name.strip_prefix(POOL_PREFIX)).collect();
    let hint =
        if pools.is_empty() { "no pool is there".to_owned() } else { format!("pools there are: {}", pools.join(", ")) };
    Exit::Failed.because(anyhow!("there is no pool {pool}; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_meant_by_its_name_or_its_program() {
        for word in ["calculator_worker", "calculator-worker", "./bin/calculator-worker"] {
            assert_eq!(meant(word), "calculator_worker");
        }
    }
}
