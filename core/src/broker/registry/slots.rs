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
    /// Those of them whose handlers have started, as far as the worker has reported.
    started: u32,
    /// Whether the last call that ended there was long. Then the next ones may be long, too, and would be handed back.
    last_was_long: bool,
}

/// How a call ended at its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallEnd {
    /// The worker replied.
    Replied {
        /// Whether the handler was recorded as started before.
        started: bool,
    },
    /// The worker handed the call back.
    HandedBack {
        /// Whether the handler was recorded as started before, against the rules.
        started: bool,
    },
}

impl Slots {
    /// Returns the slots of an offer.
    pub(super) fn of_offer(offer: &handshake::Offer) -> Slots {
        Slots {
            total: offer.slots,
            prefetch: offer.prefetch,
            held: held(offer),
            running: 0,
            started: 0,
            last_was_long: false,
        }
    }

    /// Returns the slots of a worker, if it limits its calls over all offers. A call of an earlier connection holds a slot of its offer
    /// and one of the worker.
    pub(super) fn of_worker(register: &Register) -> Option<Slots> {
        let held = register.offers.iter().map(held).sum();
        Some(Slots {
            total: register.slots?,
            prefetch: register.prefetch,
            held,
            running: 0,
            started: 0,
            last_was_long: false,
        })
    }

    /// Returns whether one more call may be sent there.
    pub(super) fn has_room(&self) -> bool {
        self.running < self.capacity()
    }

    /// Returns whether one more call would run at once.
    pub(super) fn has_free_slot(&self) -> bool {
        self.running < self.available()
    }

    /// Returns the number of calls that may be there at once.
    fn capacity(&self) -> u32 {
        let prefetch = if self.is_blocked() || self.last_was_long { 0 } else { self.prefetch };
        self.available().saturating_add(prefetch)
    }

    /// Returns the number of slots that no call of an earlier connection holds.
    fn available(&self) -> u32 {
        self.total.saturating_sub(self.held)
    }

    /// Returns whether every slot has a long call: one that was reported as started, or is of an earlier connection. Then nothing is
    /// prefetched, and the worker hands back what it has prefetched, because another worker may be free.
    pub(super) fn is_blocked(&self) -> bool {
        self.started >= self.available()
    }

    /// Returns the running calls per slot, in 65,536ths.
    pub(super) fn load(&self) -> u64 {
        u64::from(self.running) * 65_536 / u64::from(self.total.max(1))
    }

    /// Counts a call that begins.
    pub(super) fn begin_call(&mut self) {
        self.running += 1;
    }

    /// Counts a call whose handler has started.
    pub(super) fn start_call(&mut self) {
        self.started += 1;
    }

    /// Counts a call that ends.
    pub(super) fn end_call(&mut self, end: CallEnd) {
        let (CallEnd::Replied { started } | CallEnd::HandedBack { started }) = end;
        self.running -= 1;
        self.started -= u32::from(started);
        if let CallEnd::Replied { started } = end {
            self.last_was_long = started;
        }
    }

    /// Returns how many of these calls of an earlier connection hold a slot.
    pub(super) fn held_of(&self, calls: u32) -> u32 {
        self.held.min(calls)
    }

    /// Frees slots that calls of an earlier connection held until now.
    pub(super) fn free_held(&mut self, calls: u32) {
        self.held -= calls;
    }

    /// Asserts that there are no more calls than slots and prefetch.
    pub(super) fn assert_invariants(&self) {
        let max = self.available().saturating_add(self.prefetch);
        assert!(self.running <= max, "there are no more calls than slots and prefetch");
        assert!(self.started <= self.running, "a started call runs");
    }

    /// Asserts that the slots of a worker count the calls of all its offers.
    pub(super) fn assert_sum_of(&self, offers: impl Iterator<Item = Slots>) {
        let add = |[held, running, started]: [u32; 3], offer: Slots| {
            [held + offer.held, running + offer.running, started + offer.started]
        };
        let counted = [self.held, self.running, self.started];
        assert_eq!(counted, offers.fold([0; 3], add), "a worker's slots count the calls of all offers");
    }
}

/// Returns how many slots of an offer calls of an earlier connection hold.
fn held(offer: &handshake::Offer) -> u32 {
    offer.slots.saturating_sub(offer.free)
}
