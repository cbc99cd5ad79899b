//! `callboard.describe`: the contracts of a service.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    super::{coordinator::state::Broker, keys::ServiceKey, reserved},
    methods,
};
use crate::{
    body,
    contract::{ContractHash, MethodDescription, ServiceDescription},
    wire::status::{Code, Executed, Failure},
};

/// A contract of a service, in the result of `callboard.services`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractStatus {
    /// Its hash.
    pub hash: ContractHash,
    /// Workers that registered it.
    pub workers: usize,
}

/// The contracts of a service: the result of `callboard.describe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceContracts {
    /// The name of the service.
    pub name: String,
    /// The contracts that its workers registered, the most frequent first. Empty if no worker registered one.
    pub contracts: Vec<Contract>,
}

/// A contract of a service, in the result of `callboard.describe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// Its hash.
    pub hash: ContractHash,
    /// Workers that registered it.
    pub workers: usize,
    /// The description, a [`ServiceDescription`] as CBOR, if the broker has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Bytes>,
}

/// Returns the contracts of a service with the number of workers that registered each, the most frequent first.
pub(super) fn contract_statuses(broker: &Broker, key: ServiceKey) -> Vec<ContractStatus> {
    let mut workers = BTreeMap::<ContractHash, usize>::new();
    for (_, worker) in broker.registry.workers() {
        let offers = worker.offers().iter().filter(|offer| offer.service == key);
        let hashes: BTreeSet<_> = offers.filter_map(|offer| offer.contract).collect();
        hashes.into_iter().for_each(|hash| *workers.entry(hash).or_default() += 1);
    }
    let mut statuses: Vec<_> = workers.into_iter().map(|(hash, workers)| ContractStatus { hash, workers }).collect();
    statuses.sort_by_key(|status| std::cmp::Reverse(status.workers));
    statuses
}

/// Returns the contracts of a service.
pub(super) fn describe(broker: &Broker, name: String) -> Result<ServiceContracts, Box<Failure>> {
    if name == reserved::SERVICE {
        return Ok(own_contract());
    }
    let Some(key) = broker.registry.find_active(&name) else {
        let text = broker.registry.explain_no_workers(&name);
        return Err(Box::new(Failure::new(Code::Unavailable, Executed::No, text)));
    };
    let service = broker.registry.service(key);
    let contracts = contract_statuses(broker, key).into_iter().map(|ContractStatus { hash, workers }| Contract {
        description: service.contracts.description(&hash),
        hash,
        workers,
    });
    Ok(ServiceContracts { name, contracts: contracts.collect() })
}

/// Returns the contract of the broker's own service, which no worker registers.
fn own_contract() -> ServiceContracts {
    let mut service = ServiceDescription::new(reserved::SERVICE, "The broker itself.");
    service.methods = methods::METHODS
        .iter()
        .map(|(name, arguments, doc)| {
            let arguments: Vec<_> = arguments.iter().map(|&name| name.to_owned()).collect();
            let method = MethodDescription::untyped(*name, methods::effect(name), &arguments);
            MethodDescription { doc: (*doc).to_owned(), ..method }
        })
        .collect();
    let description = body::encode(&service).ok();
    ServiceContracts {
        name: reserved::SERVICE.to_owned(),
        contracts: vec![Contract { hash: service.hash(), workers: 0, description }],
    }
}
