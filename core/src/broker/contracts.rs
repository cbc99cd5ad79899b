//! What workers say that a service is. The broker keeps it for who asks, and does not look into it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Broker, ServiceKey, own};
use crate::{
    body::{self, ArgumentReader},
    contract::{ContractHash, MethodDescription, ServiceDescription},
    wire::{
        handshake::ContractOffer,
        limits::DESCRIPTIONS_MAX,
        status::{Code, Executed, Failure},
    },
};

/// The contracts of one service, each as long as somebody offers it.
#[derive(Debug, Default)]
pub(super) struct Contracts(BTreeMap<ContractHash, Kept>);

#[derive(Debug, Default)]
struct Kept {
    offers: usize,
    description: Option<Bytes>,
}

/// A contract of a service as `callboard.services` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractStatus {
    /// Its hash.
    pub hash: ContractHash,
    /// Workers that say so.
    pub workers: usize,
}

/// A service as `callboard.describe` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceContracts {
    /// Its name.
    pub name: String,
    /// What its workers say that it is, the one that most say first; empty if none says anything.
    pub contracts: Vec<Contract>,
}

/// A contract of a service as `callboard.describe` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// Its hash.
    pub hash: ContractHash,
    /// Workers that say so.
    pub workers: usize,
    /// The description, a [`ServiceDescription`] as CBOR, if the broker has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Bytes>,
}

impl Contracts {
    /// One more offer says so.
    pub(super) fn add(&mut self, offered: &ContractOffer) {
        let room = self.0.values().filter(|kept| kept.description.is_some()).count() < DESCRIPTIONS_MAX;
        let kept = self.0.entry(offered.hash).or_default();
        kept.offers += 1;
        if kept.description.is_none() && room {
            // In memory of its own: the registration that it came in is larger, and goes.
            kept.description = offered.description.as_deref().map(Bytes::copy_from_slice);
        }
    }

    /// One offer less says so.
    pub(super) fn remove(&mut self, hash: ContractHash) {
        let kept = self.0.get_mut(&hash).expect("what an offer says was added with it");
        kept.offers -= 1;
        if kept.offers == 0 {
            self.0.remove(&hash);
        }
    }

    /// Asserts that it has what offers say, and no more.
    pub(super) fn check(&self, offered: impl Iterator<Item = ContractHash>) {
        let mut counted = BTreeMap::<ContractHash, usize>::new();
        offered.for_each(|hash| *counted.entry(hash).or_default() += 1);
        assert!(self.0.iter().map(|(hash, kept)| (hash, &kept.offers)).eq(&counted), "contracts are counted");
    }
}

impl Broker {
    /// What the workers of a service say that it is, and how many say so; the most first.
    pub(super) fn contract_statuses(&self, key: ServiceKey) -> Vec<ContractStatus> {
        let mut workers = BTreeMap::<ContractHash, usize>::new();
        for worker in self.workers.values() {
            let offers = worker.offers.iter().filter(|offer| offer.service == key);
            let said: BTreeSet<_> = offers.filter_map(|offer| offer.contract).collect();
            said.into_iter().for_each(|hash| *workers.entry(hash).or_default() += 1);
        }
        let mut statuses: Vec<_> =
            workers.into_iter().map(|(hash, workers)| ContractStatus { hash, workers }).collect();
        statuses.sort_by_key(|status| std::cmp::Reverse(status.workers));
        statuses
    }

    /// `callboard.describe`.
    pub(super) fn describe(&self, arguments: &[u8]) -> Result<ServiceContracts, Box<Failure>> {
        let mut arguments = ArgumentReader::new(&["service"], arguments).map_err(Failure::from)?;
        let name: String = arguments.next().map_err(Failure::from)?;
        if name == own::SERVICE {
            return Ok(own_contract());
        }
        let Some(&key) = self.served.get(&name) else {
            return Err(Box::new(Failure::new(Code::Unavailable, Executed::No, self.nobody_serves(&name))));
        };
        let description =
            |hash: &ContractHash| self.services[&key].contracts.0.get(hash).and_then(|kept| kept.description.clone());
        let contracts = self.contract_statuses(key).into_iter().map(|ContractStatus { hash, workers }| Contract {
            description: description(&hash),
            hash,
            workers,
        });
        Ok(ServiceContracts { name, contracts: contracts.collect() })
    }
}

/// The broker's own service, which no worker registers.
fn own_contract() -> ServiceContracts {
    let mut service = ServiceDescription::new(own::SERVICE, "The broker itself.");
    service.methods = own::METHODS
        .iter()
        .map(|(name, arguments, doc)| {
            let arguments: Vec<_> = arguments.iter().map(|&name| name.to_owned()).collect();
            let method = MethodDescription::untyped(*name, own::effect(name), &arguments);
            MethodDescription { doc: (*doc).to_owned(), ..method }
        })
        .collect();
    let description = body::encode(&service).ok();
    ServiceContracts {
        name: own::SERVICE.to_owned(),
        contracts: vec![Contract { hash: service.hash(), workers: 0, description }],
    }
}
