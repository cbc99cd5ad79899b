//! One worker: its name, its offers, and the calls that it runs.

use std::{cmp::Reverse, collections::BTreeSet, sync::Arc};

use bytestring::ByteString;

use super::{
    super::{
        keys::{CallKey, ServiceKey, WorkerKey},
        outcome::Outcome,
        sessions::PeerConnection,
    },
    candidates::Candidate,
    in_flight::InFlightBytes,
    offer::Offer,
    slots::Slots,
};
use crate::{
    auth::Principal,
    sequence_map::SequenceMap,
    time::Time,
    wire::{
        handshake::Hello,
        ids::{ConnectionNumber, SessionId},
        limits::{REGISTRATIONS_MAX, REGISTRATIONS_WINDOW},
        status::Code,
    },
};

/// One worker.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) session: SessionId,
    pub(crate) connection_number: ConnectionNumber,
    /// Its instance name, which its calls share.
    pub(crate) name: Arc<ByteString>,
    /// The principal that the worker's connection authenticated.
    pub(crate) principal: Principal,
    pub(crate) pool: Option<String>,
    pub(crate) pid: Option<u32>,
    pub(crate) host: String,
    pub(crate) connection: PeerConnection,
    /// Whether the worker drains: it accepts no more calls.
    pub(crate) draining: bool,
    /// Whether an operator has paused it: it gets no calls.
    pub(super) paused: bool,
    /// The number of running calls that the worker did not stop in time after their hard limit.
    pub(crate) unresponsive_calls: usize,
    pub(super) offers: Vec<Offer>,
    /// The slots that all its offers share, if it registered any.
    pub(super) shared_slots: Option<Slots>,
    /// Of the offers that share slots, the one that is given a waiting call next.
    pub(super) next_offer: usize,
    /// The calls at the worker, by dispatch number, until the worker's final message about each.
    pub(crate) running: SequenceMap<CallKey, 32>,
    /// Subcalls of broadcasts that only it may run.
    pub(crate) subcalls: BTreeSet<CallKey>,
    pub(super) in_flight: InFlightBytes,
    /// Calls that it answered with a result.
    pub(crate) answered: u64,
    /// Calls that it answered with a failure, other than that they were cancelled.
    pub(crate) failed: u64,
    /// Its registrations within the present span, and the beginning of that span.
    registrations: (u32, Time),
}

impl Worker {
    /// Creates a worker without offers.
    pub(crate) fn new(hello: Hello, principal: Principal, connection: PeerConnection) -> Worker {
        Worker {
            session: hello.session,
            connection_number: hello.connection,
            name: Arc::new(hello.instance.into()),
            principal,
            pool: hello.pool,
            pid: hello.pid,
            host: hello.host,
            connection,
            draining: false,
            paused: false,
            unresponsive_calls: 0,
            offers: Vec::new(),
            shared_slots: None,
            next_offer: 0,
            running: SequenceMap::default(),
            subcalls: BTreeSet::new(),
            in_flight: InFlightBytes::default(),
            answered: 0,
            failed: 0,
            registrations: (0, Time::ZERO),
        }
    }

    /// Returns its instance name.
    pub(crate) fn name(&self) -> ByteString {
        ByteString::clone(&self.name)
    }

    /// Returns the services that the worker offers.
    pub(crate) fn offers(&self) -> &[Offer] {
        &self.offers
    }

    /// Returns whether it offers a service.
    pub(crate) fn serves(&self, service: ServiceKey) -> bool {
        self.offers.iter().any(|offer| offer.service == service)
    }

    /// Counts a call that the worker answered.
    pub(crate) fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Ok(_) => self.answered += 1,
            Err(failure) => self.failed += u64::from(failure.code != Code::Cancelled),
        }
    }

    /// Counts a registration. Returns false if there are too many within the span.
    #[must_use]
    pub(crate) fn may_register(&mut self, now: Time) -> bool {
        let (count, since) = &mut self.registrations;
        if now.since(*since) >= REGISTRATIONS_WINDOW {
            (*count, *since) = (0, now);
        }
        *count += 1;
        *count <= REGISTRATIONS_MAX
    }

    /// Returns whether an operator has paused the worker.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Returns whether the worker may be given calls: it does not drain, is not paused, and is not unresponsive.
    pub(crate) fn takes_calls(&self) -> bool {
        !self.draining && !self.paused && self.unresponsive_calls == 0
    }

    /// Returns whether the worker may be given calls now: it also has read enough of the earlier ones, and has a slot for one more.
    pub(crate) fn takes_calls_now(&self) -> bool {
        self.takes_calls() && !self.in_flight.is_full && self.shared_slots.as_ref().is_none_or(Slots::has_room)
    }

    /// Returns whether the worker must read earlier calls before it is given more.
    pub(crate) fn has_full_connection(&self) -> bool {
        self.in_flight.is_full
    }

    /// Returns whether its offers share slots.
    pub(crate) fn shares_slots(&self) -> bool {
        self.shared_slots.is_some()
    }

    /// Returns whether an offer may be given a call now.
    pub(super) fn has_room(&self, offer: usize) -> bool {
        self.offers[offer].has_room() && self.takes_calls_now()
    }

    /// Returns whether one more call of an offer would run at once.
    pub(super) fn has_free_slot(&self, offer: usize) -> bool {
        let is_free = |offer: &Offer| offer.slots.has_free_slot() && offer.has_room();
        let shared = self.shared_slots.as_ref();
        self.takes_calls_now() && self.offers.get(offer).is_some_and(is_free) && shared.is_none_or(Slots::has_free_slot)
    }

    /// Returns whether long calls have every slot that a call of an offer could use.
    pub(crate) fn is_blocked(&self, offer: usize) -> bool {
        self.offers[offer].slots.is_blocked() || self.shared_slots.as_ref().is_some_and(Slots::is_blocked)
    }

    /// Returns the place of an offer in the order of candidates. Its load is that of its own slots or of the shared ones, whichever is
    /// higher.
    pub(super) fn candidate(&self, key: WorkerKey, index: usize) -> Candidate {
        let offer = &self.offers[index];
        let load = offer.slots.load().max(self.shared_slots.as_ref().map_or(0, Slots::load));
        Candidate { load, idle: Reverse(offer.idle), worker: key, offer: index }
    }

    /// Returns the indices of the offers in the order in which they are given a waiting call, for offers that share slots.
    pub(crate) fn offers_by_turn(&self) -> impl Iterator<Item = usize> + use<> {
        let (next, offers) = (self.next_offer, self.offers.len());
        (0..offers).map(move |turn| (next + turn) % offers)
    }

    /// Records that an offer was given a waiting call: the next offer has the next turn.
    pub(crate) fn end_turn(&mut self, offer: usize) {
        self.next_offer = offer + 1;
    }

    /// Returns the number of calls that the worker runs at once.
    pub(crate) fn slots(&self) -> u64 {
        let slots = self.offers.iter().map(|offer| u64::from(offer.slots.total)).sum();
        self.shared_slots.map_or(slots, |shared| slots.min(shared.total.into()))
    }

    /// Returns the number of calls of an offer that the worker runs at once.
    pub(crate) fn slots_of(&self, offer: &Offer) -> u32 {
        self.shared_slots.map_or(offer.slots.total, |shared| offer.slots.total.min(shared.total))
    }

    /// Returns how many of these slots are in use, and how many calls wait for them: calls of other offers use shared slots, too.
    pub(crate) fn used_slots_of(&self, offer: &Offer) -> u32 {
        let by_others = |shared: Slots| (shared.running + self.slots_of(offer)).saturating_sub(shared.total);
        self.shared_slots.map_or(0, by_others).max(offer.slots.running)
    }

    /// Asserts that there are no more calls than slots and prefetch, for each offer and in all.
    pub(super) fn assert_invariants(&self) {
        self.offers.iter().for_each(|offer| offer.slots.assert_invariants());
        let running: u32 = self.offers.iter().map(|offer| offer.slots.running).sum();
        assert_eq!(running as usize, self.running.len(), "running calls are counted");
        if let Some(shared) = self.shared_slots {
            shared.assert_invariants();
            shared.assert_sum_of(self.offers.iter().map(|offer| offer.slots));
        }
    }
}
