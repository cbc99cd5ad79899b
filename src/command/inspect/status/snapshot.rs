//! The broker's status, and that of its pools.

use std::time::Duration;

use callboard::{Client, core::broker::Status as BrokerStatus};
use futures::future::join_all;
use serde::Serialize;

use crate::command::control::{pool_name::POOL_PREFIX, report::PoolReport};

/// How long a pool has to answer before the status is told without it.
const POOL_MAX: Duration = Duration::from_secs(1);
/// All that is shown.
#[derive(Debug, Serialize)]
pub(crate) struct Overview {
    pub(crate) broker: BrokerStatus,
    /// Pools that answered.
    pub(crate) pools: Vec<PoolReport>,
    /// Pools that are there and did not answer.
    pub(crate) silent_pools: Vec<String>,
}

impl Overview {
    /// What the broker says, and its pools.
    pub(crate) async fn of(client: &Client, broker: BrokerStatus) -> Overview {
        let served = broker.services.iter().filter(|service| service.workers > 0);
        let names = served.filter_map(|service| service.name.strip_prefix(POOL_PREFIX)).map(str::to_owned);
        let asked = names.map(async |name| {
            let call = client.call::<PoolReport>(format!("{POOL_PREFIX}{name}.status"), ());
            call.timeout(POOL_MAX).await.map_err(|_| name)
        });
        let (mut pools, mut silent_pools) = (Vec::new(), Vec::new());
        for answer in join_all(asked).await {
            match answer {
                Ok(report) => pools.push(report),
                Err(name) => silent_pools.push(name),
            }
        }
        Overview { broker, pools, silent_pools }
    }
}
