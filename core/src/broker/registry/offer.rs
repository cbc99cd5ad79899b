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
    /// Calls that it may have at once: its slots, less those that calls of an earlier connection hold, and prefetch.
    pub(super) capacity: u32,
    pub(crate) running: u32,
    /// It handed a call back without being asked to, and is given no calls until then.
    pub(crate) paused_until: Option<Time>,
    /// When it last became idle, as an increasing number.
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

    /// Returns whether it has a method.
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

    /// Returns whether it may be given a call.
    pub(crate) fn has_room(&self) -> bool {
        self.running < self.capacity && self.paused_until.is_none()
    }

    /// Returns its place in the order of candidates.
    pub(crate) fn candidate(&self, worker: WorkerKey, offer: usize) -> Candidate {
        let load = u64::from(self.running) * 65_536 / u64::from(self.slots.max(1));
        Candidate { load, idle: Reverse(self.idle), worker, offer }
    }

    /// A call begins.
    pub(crate) fn begin_call(&mut self) {
        self.running += 1;
    }

    /// A call ends; `idle` is a number that increases with each such moment.
    pub(crate) fn end_call(&mut self, idle: u64) {
        self.running -= 1;
        self.idle = idle;
    }

    /// Slots of calls of an earlier connection are free again.
    pub(crate) fn restore_capacity(&mut self, calls: u32) {
        let max = self.slots.saturating_add(self.prefetch);
        self.capacity = self.capacity.saturating_add(calls).min(max);
    }

    /// Asserts that it has no more calls than it may have.
    pub(crate) fn assert_invariants(&self) {
        assert!(self.running <= self.capacity, "an offer has no more calls than capacity");
    }
}
