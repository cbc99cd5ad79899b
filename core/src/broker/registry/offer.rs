//! One service as one worker serves it.

use super::{super::keys::ServiceKey, slots::Slots};
use crate::{
    contract::ContractHash,
    time::Time,
    wire::{
        envelope::Effect,
        handshake::{self, MethodLimits},
    },
};

/// One service as one worker serves it.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) service: ServiceKey,
    pub(crate) slots: Slots,
    /// Until when the offer is given no calls, after its worker handed a call back without a drain.
    pub(crate) paused_until: Option<Time>,
    /// A number that increases with each end of a call at any offer: the order of the last ends.
    pub(super) idle: u64,
    /// The contract that this worker registered.
    pub(crate) contract: Option<ContractHash>,
    /// Its methods, sorted by their indices in the service.
    pub(crate) methods: Vec<OfferedMethod>,
}

/// One method as one worker serves it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfferedMethod {
    /// Its index in the service.
    pub(crate) method: usize,
    pub(crate) effect: Effect,
    /// How long it may run here. Workers of two versions may differ.
    pub(crate) limits: MethodLimits,
}

impl Offer {
    pub(super) fn new(service: ServiceKey, offer: &handshake::Offer, mut methods: Vec<OfferedMethod>) -> Offer {
        methods.sort_unstable_by_key(|offered| offered.method);
        Offer {
            service,
            slots: Slots::of_offer(offer),
            paused_until: None,
            idle: 0,
            contract: offer.contract.as_ref().map(|contract| contract.hash),
            methods,
        }
    }

    /// Returns whether the offer has a method.
    pub(crate) fn serves(&self, method: usize) -> bool {
        self.find(method).is_some()
    }

    /// Returns how long a method may run here.
    pub(crate) fn limits_of(&self, method: usize) -> MethodLimits {
        self.find(method).map_or_else(MethodLimits::default, |offered| offered.limits)
    }

    fn find(&self, method: usize) -> Option<&OfferedMethod> {
        let at = self.methods.binary_search_by_key(&method, |offered| offered.method).ok()?;
        self.methods.get(at)
    }

    /// Returns whether the offer may be given a call.
    pub(super) fn has_room(&self) -> bool {
        self.slots.has_room() && self.paused_until.is_none()
    }
}
