//! A worker at the broker: its offers, what it runs, and how much room it has.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use bytestring::ByteString;

use super::{
    call::CallKey, candidates::Candidate, client::Outcome, presence::Presence, service::ServiceKey, unread::Unread,
};
use crate::{
    auth::Principal,
    contract::ContractHash,
    sequence_map::SequenceMap,
    time::Time,
    wire::{
        affinity::AffinityKey,
        envelope::Effect,
        handshake::{self, Hello, MethodLimits},
        ids::{ConnectionNumber, SessionId},
        limits::{REGISTRATIONS_MAX, REGISTRATIONS_SPAN},
        status::Code,
    },
};

/// A worker's number at the broker, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WorkerKey(pub(super) u64);

/// One worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) session: SessionId,
    pub(super) connection_number: ConnectionNumber,
    /// Its instance name, as callers are told.
    pub(super) name: ByteString,
    /// Who it proved to be.
    pub(super) principal: Principal,
    pub(super) pool: Option<String>,
    pub(super) pid: Option<u32>,
    pub(super) host: String,
    pub(super) presence: Presence,
    /// It asked for no more calls.
    pub(super) draining: bool,
    /// Calls that it was to stop long ago.
    pub(super) stuck: usize,
    pub(super) offers: Vec<Offer>,
    /// Buckets of affinity keys that stick to it.
    pub(super) buckets: usize,
    /// Keys of calls of earlier connections that it still runs, and of how many.
    pub(super) held: BTreeMap<(ServiceKey, AffinityKey), usize>,
    /// Its registrations, and since when they are counted.
    pub(super) registrations: (u32, Time),
    /// What it runs, until its last word on each.
    pub(super) running: SequenceMap<CallKey, 32>,
    /// Its parts of broadcasts, for as long as these wait for them.
    pub(super) parts: BTreeSet<CallKey>,
    /// What it was sent and may not have read yet.
    pub(super) unread: Unread,
    /// Calls that it answered with a result.
    pub(super) answered: u64,
    /// Calls that it answered with a failure, other than that they were cancelled.
    pub(super) failed: u64,
}

/// One service as this worker serves it.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) service: ServiceKey,
    pub(super) slots: u32,
    /// How many calls it may have at once: its slots, less those that calls of an earlier connection hold, and prefetch.
    pub(super) room: u32,
    pub(super) prefetch: u32,
    pub(super) running: u32,
    /// It gave a call back unasked: until then it is given no other.
    pub(super) resting: Option<Time>,
    /// When it last became idle, as a count.
    idle: u64,
    /// What the service is, by this worker's word.
    pub(super) contract: Option<ContractHash>,
    /// Its methods, sorted by their numbers in the service.
    pub(super) methods: Vec<Served>,
}

/// One method as this worker serves it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Served {
    /// Its number in the service.
    pub(super) method: usize,
    pub(super) effect: Effect,
    /// How long it may run here. Workers of two versions may differ in it.
    pub(super) limits: MethodLimits,
}

impl Worker {
    pub(super) fn new(hello: Hello, principal: Principal, presence: Presence) -> Worker {
        Worker {
            session: hello.session,
            connection_number: hello.connection,
            name: hello.instance.into(),
            principal,
            pool: hello.pool,
            pid: hello.pid,
            host: hello.host,
            presence,
            draining: false,
            stuck: 0,
            offers: Vec::new(),
            buckets: 0,
            held: BTreeMap::new(),
            registrations: (0, Time::ZERO),
            running: SequenceMap::default(),
            parts: BTreeSet::new(),
            unread: Unread::default(),
            answered: 0,
            failed: 0,
        }
    }

    /// It has answered a call.
    pub(super) fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Ok(_) => self.answered += 1,
            Err(failure) => self.failed += u64::from(failure.code != Code::Cancelled),
        }
    }
}

impl Worker {
    /// One more registration. `false`: it was one too many.
    #[must_use]
    pub(super) fn may_register(&mut self, now: Time) -> bool {
        let (count, since) = &mut self.registrations;
        if now.since(*since) >= REGISTRATIONS_SPAN {
            (*count, *since) = (0, now);
        }
        *count += 1;
        *count <= REGISTRATIONS_MAX
    }

    /// Whether it may be given calls. One that is stuck with one may hang with all.
    pub(super) fn takes_calls(&self) -> bool {
        !self.draining && self.stuck == 0
    }

    /// Whether it may be given calls now: it also reads what it is given.
    pub(super) fn takes_calls_now(&self) -> bool {
        self.takes_calls() && !self.unread.is_much
    }
}

impl Offer {
    pub(super) fn new(service: ServiceKey, offer: &handshake::Offer, mut methods: Vec<Served>) -> Offer {
        methods.sort_unstable_by_key(|served| served.method);
        let room = offer.free.min(offer.slots).saturating_add(offer.prefetch);
        let contract = offer.contract.as_ref().map(|contract| contract.hash);
        Offer {
            service,
            slots: offer.slots,
            room,
            prefetch: offer.prefetch,
            running: 0,
            resting: None,
            idle: 0,
            contract,
            methods,
        }
    }

    pub(super) fn serves(&self, method: usize) -> bool {
        self.find(method).is_some()
    }

    /// How long a method may run here.
    pub(super) fn limits_of(&self, method: usize) -> MethodLimits {
        self.find(method).map_or_else(MethodLimits::default, |served| served.limits)
    }

    fn find(&self, method: usize) -> Option<&Served> {
        let at = self.methods.binary_search_by_key(&method, |served| served.method).ok()?;
        self.methods.get(at)
    }

    pub(super) fn has_room(&self) -> bool {
        self.running < self.room && self.resting.is_none()
    }

    /// Its place in the order of candidates.
    pub(super) fn candidate(&self, worker: WorkerKey, offer: usize) -> Candidate {
        let load = u64::from(self.running) * 65_536 / u64::from(self.slots.max(1));
        Candidate { load, idle: Reverse(self.idle), worker, offer }
    }

    /// A call of it begins.
    pub(super) fn begin(&mut self) {
        self.running += 1;
    }

    /// A call of it ended; `idle` counts such moments.
    pub(super) fn end(&mut self, idle: u64) {
        self.running -= 1;
        self.idle = idle;
    }
}
