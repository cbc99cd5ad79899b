//! The status of the broker and of its pools.

use std::time::Duration;

use callboard::{Client, core::broker::Status as BrokerStatus};
use futures::future::join_all;
use serde::Serialize;

use crate::{
    command::{
        client,
        control::{pool_name::POOL_PREFIX, report::PoolReport},
    },
    settings::ClientSettings,
};

/// The timeout of the query to a pool. A pool that does not answer is listed as silent.
const POOL_TIMEOUT: Duration = Duration::from_secs(1);
/// The status that the command shows.
#[derive(Debug, Serialize)]
pub(crate) struct StatusSnapshot {
    pub(crate) broker: BrokerStatus,
    /// The pools that answered.
    pub(crate) pools: Vec<PoolReport>,
    /// The registered pools that did not answer.
    pub(crate) silent_pools: Vec<String>,
}

/// Queries the status of the broker.
pub(super) async fn query_broker(client: &Client, settings: &ClientSettings) -> anyhow::Result<BrokerStatus> {
    let call = client.call::<BrokerStatus>("callboard.status", ());
    client::timed(call, settings).await.map_err(client::failed)
}

impl StatusSnapshot {
    /// Queries the pools, and adds their status to that of the broker.
    pub(crate) async fn of(client: &Client, broker: BrokerStatus) -> StatusSnapshot {
        let served = broker.services.iter().filter(|service| service.workers > 0);
        let names = served.filter_map(|service| service.name.strip_prefix(POOL_PREFIX)).map(str::to_owned);
        let asked = names.map(async |name| {
            let call = client.call::<PoolReport>(format!("{POOL_PREFIX}{name}.status"), ());
            call.timeout(POOL_TIMEOUT).await.map_err(|_| name)
        });
        let (mut pools, mut silent_pools) = (Vec::new(), Vec::new());
        for answer in join_all(asked).await {
            match answer {
                Ok(report) => pools.push(report),
                Err(name) => silent_pools.push(name),
            }
        }
        StatusSnapshot { broker, pools, silent_pools }
    }
}
