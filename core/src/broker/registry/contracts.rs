//! The contracts of one service, as its workers registered them. The broker stores their bytes and does not read them.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{
    contract::ContractHash,
    wire::{handshake::ContractOffer, limits::DESCRIPTIONS_MAX},
};

/// The contracts of the offers of one service.
#[derive(Debug, Default)]
pub(crate) struct Contracts(BTreeMap<ContractHash, RegisteredContract>);

#[derive(Debug, Default)]
struct RegisteredContract {
    offers: usize,
    description: Option<Bytes>,
}

impl Contracts {
    /// Adds an offer with that contract.
    pub(crate) fn add(&mut self, offered: &ContractOffer) {
        let room = self.0.values().filter(|contract| contract.description.is_some()).count() < DESCRIPTIONS_MAX;
        let contract = self.0.entry(offered.hash).or_default();
        contract.offers += 1;
        if contract.description.is_none() && room {
            // Copied: the registration that it came in is larger, and is dropped.
            contract.description = offered.description.as_deref().map(Bytes::copy_from_slice);
        }
    }

    /// Removes an offer with that contract.
    pub(crate) fn remove(&mut self, hash: ContractHash) {
        let contract = self.0.get_mut(&hash).expect("the contract of an offer was added with it");
        contract.offers -= 1;
        if contract.offers == 0 {
            self.0.remove(&hash);
        }
    }

    /// Returns the description of a contract, if the broker has it.
    pub(crate) fn description(&self, hash: &ContractHash) -> Option<Bytes> {
        self.0.get(hash)?.description.clone()
    }

    /// Returns the number of contracts.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the bytes of all descriptions.
    pub(super) fn description_bytes(&self) -> usize {
        self.0.values().filter_map(|contract| contract.description.as_ref()).map(Bytes::len).sum()
    }

    /// Asserts that it has exactly the contracts of the offers.
    pub(crate) fn assert_invariants(&self, offered: impl Iterator<Item = ContractHash>) {
        let mut counted = BTreeMap::<ContractHash, usize>::new();
        offered.for_each(|hash| *counted.entry(hash).or_default() += 1);
        assert!(self.0.iter().map(|(hash, contract)| (hash, &contract.offers)).eq(&counted), "contracts are counted");
    }
}
