//! The slots of one offer, or of a whole worker, and the calls in them.

use crate::wire::{handshake, handshake::Register};

/// The slots of one offer, or of a whole worker, and the calls that the broker has sent there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slots {
    /// The number of calls that run at once.
    pub(crate) total: u32,
    /// The number of further calls that wait there for a slot.
    prefetch: u32,
    /// The slots that calls of an earlier connection hold.
    held: u32,
    /// The calls that were sent there on this connection, and have not ended.
    pub(crate) running: u32,
}

impl Slots {
    /// Returns the slots of an offer.
    pub(super) fn of_offer(offer: &handshake::Offer) -> Slots {
        Slots { total: offer.slots, prefetch: offer.prefetch, held: held(offer), running: 0 }
    }

    /// Returns the slots of a worker, if it limits its calls over all offers. A call of an earlier connection holds a slot of its offer
    /// and one of the worker.
    pub(super) fn of_worker(register: &Register) -> Option<Slots> {
        let held = register.offers.iter().map(held).sum();
        Some(Slots { total: register.slots?, prefetch: register.prefetch, held, running: 0 })
    }

    /// Returns whether one more call may be sent there.
    pub(super) fn has_room(&self) -> bool {
        self.running < self.capacity()
    }

    /// Returns the number of calls that may be there at once.
    fn capacity(&self) -> u32 {
        self.total.saturating_sub(self.held).saturating_add(self.prefetch)
    }

    /// Returns the running calls per slot, in 65,536ths.
    pub(super) fn load(&self) -> u64 {
        u64::from(self.running) * 65_536 / u64::from(self.total.max(1))
    }

    /// Counts a call that begins.
    pub(super) fn begin_call(&mut self) {
        self.running += 1;
    }

    /// Counts a call that ends.
    pub(super) fn end_call(&mut self) {
        self.running -= 1;
    }

    /// Returns how many of these calls of an earlier connection hold a slot.
    pub(super) fn held_of(&self, calls: u32) -> u32 {
        self.held.min(calls)
    }

    /// Frees slots that calls of an earlier connection held until now.
    pub(super) fn free_held(&mut self, calls: u32) {
        self.held -= calls;
    }

    /// Asserts that there are no more calls than capacity.
    pub(super) fn assert_invariants(&self) {
        assert!(self.running <= self.capacity(), "there are no more calls than capacity");
    }

    /// Asserts that the slots of a worker count the calls of all its offers.
    pub(super) fn assert_sum_of(&self, offers: impl Iterator<Item = Slots>) {
        let add = |sum: (u32, u32), offer: Slots| (sum.0 + offer.held, sum.1 + offer.running);
        assert_eq!(
            (self.held, self.running),
            offers.fold((0, 0), add),
            "a worker's slots count the calls of all offers"
        );
    }
}

/// Returns how many slots of an offer calls of an earlier connection hold.
fn held(offer: &handshake::Offer) -> u32 {
    offer.slots.saturating_sub(offer.free)
}
