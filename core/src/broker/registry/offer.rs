//! One service as one worker serves it.

use std::cmp::Reverse;

use super::{
    super::keys::{ServiceKey, WorkerKey},
    candidates::Candidate,
};
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
    pub(crate) slots: u32,
    pub(crate) prefetch: u32,
    /// The number of calls that the worker may have at once: slots and prefetch, less the slots that calls of an
    /// earlier connection hold.
    pub(super) capacity: u32,
    pub(crate) running: u32,
    /// Until when the offer is given no calls, after its worker handed a call back without a drain.
    pub(crate) paused_until: Option<Time>,
    /// A number that increases with each end of a call at any offer: the order of the last ends.
    idle: u64,
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
            slots: offer.slots,
            prefetch: offer.prefetch,
            capacity: offer.free.min(offer.slots).saturating_add(offer.prefetch),
            running: 0,
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
    pub(crate) fn has_room(&self) -> bool {
        self.running < self.capacity && self.paused_until.is_none()
    }

    /// Returns the offer's place in the order of candidates.
    pub(crate) fn candidate(&self, worker: WorkerKey, offer: usize) -> Candidate {
        let load = u64::from(self.running) * 65_536 / u64::from(self.slots.max(1));
        Candidate { load, idle: Reverse(self.idle), worker, offer }
    }

    /// Counts a call that begins.
    pub(crate) fn begin_call(&mut self) {
        self.running += 1;
    }

    /// Counts a call that ends. `idle` is above the numbers of all earlier ends.
    pub(crate) fn end_call(&mut self, idle: u64) {
        self.running -= 1;
        self.idle = idle;
    }

    /// Adds slots that calls of an earlier connection held until now.
    pub(crate) fn restore_capacity(&mut self, calls: u32) {
        let max = self.slots.saturating_add(self.prefetch);
        self.capacity = self.capacity.saturating_add(calls).min(max);
    }

    /// Asserts that the offer has no more calls than its capacity.
    pub(crate) fn assert_invariants(&self) {
        assert!(self.running <= self.capacity, "an offer has no more calls than capacity");
    }
}
