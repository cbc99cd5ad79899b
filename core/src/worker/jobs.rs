//! The calls that a worker has: those that run and those that are held ready, and the room for more.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    job::{Flows, Held, Job, JobId, Running},
    job_map::JobMap,
};
use crate::{
    deadline_queue::{DeadlineKey, DeadlineQueue},
    time::Time,
    wire::{affinity::AffinityKey, handshake::Register, method::MethodName},
};

/// All calls at this worker.
#[derive(Debug)]
pub(super) struct Jobs {
    offers: Vec<OfferSlots>,
    /// Where each method is: its offer, and its place in that. By its full name, as dispatches have it.
    methods: BTreeMap<String, (usize, usize)>,
    /// Those of earlier connections among them. Bounded by slots.
    running: JobMap<Running>,
    /// Of this connection only. Bounded by prefetch.
    held: BTreeMap<JobId, Held>,
    timers: DeadlineQueue<JobId>,
}

/// The room of one offer.
#[derive(Debug)]
struct OfferSlots {
    total: usize,
    prefetch: usize,
    running: usize,
    /// In the order of the broker's numbers.
    held: BTreeSet<JobId>,
}

/// What room there is for one more call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// A slot.
    Slot,
    /// A place to be held in until a slot is free.
    Held,
    /// None.
    Full,
}

impl Jobs {
    pub(super) fn new(register: &Register) -> Jobs {
        let slots = register.offers.iter().map(|offer| OfferSlots {
            total: usize::try_from(offer.slots).unwrap_or(usize::MAX),
            prefetch: usize::try_from(offer.prefetch).unwrap_or(usize::MAX),
            running: 0,
            held: BTreeSet::new(),
        });
        Jobs {
            offers: slots.collect(),
            methods: methods(register),
            running: JobMap::default(),
            held: BTreeMap::new(),
            timers: DeadlineQueue::default(),
        }
    }

    /// Which offer has the method, and where in it.
    pub(super) fn find(&self, method: &MethodName) -> Option<(usize, usize)> {
        self.methods.get(method.as_str()).copied()
    }

    /// Whether the call is here already.
    pub(super) fn has(&self, id: JobId) -> bool {
        self.running.contains(id) || self.held.contains_key(&id)
    }

    pub(super) fn placement(&self, offer: usize) -> Placement {
        let slots = &self.offers[offer];
        if slots.running < slots.total {
            Placement::Slot
        } else if slots.held.len() < slots.prefetch {
            Placement::Held
        } else {
            Placement::Full
        }
    }

    /// How many slots of an offer are free.
    pub(super) fn free(&self, offer: usize) -> u32 {
        let slots = &self.offers[offer];
        u32::try_from(slots.total - slots.running).unwrap_or(u32::MAX)
    }

    /// The affinity keys of what runs for an offer.
    pub(super) fn keys(&self, offer: usize) -> Vec<AffinityKey> {
        let running = self.running.iter().map(|(_, running)| running).filter(|running| running.offer == offer);
        running.filter_map(|running| running.key.clone()).collect()
    }

    /// A handler starts: it takes a slot.
    pub(super) fn begin(&mut self, now: Time, job: &Job, flows: Option<Box<Flows>>) {
        self.offers[job.offer].running += 1;
        let mut running = Running::new(now, job, flows);
        running.timer = running.next_due().map(|at| self.timers.insert(at, job.id));
        self.running.insert(job.id, running);
    }

    /// A handler ended: its slot is free.
    pub(super) fn end(&mut self, id: JobId) -> Option<Running> {
        let running = self.running.remove(id)?;
        self.offers[running.offer].running -= 1;
        running.timer.map(|timer| self.timers.remove(timer));
        Some(running)
    }

    /// Changes a running call in a way that may move its timer.
    pub(super) fn change<R>(&mut self, id: JobId, change: impl FnOnce(&mut Running) -> R) -> Option<R> {
        let running = self.running.get_mut(id)?;
        let result = change(running);
        let due = running.next_due();
        if due != running.timer.map(DeadlineKey::at) {
            running.timer.map(|timer| self.timers.remove(timer));
            running.timer = due.map(|at| self.timers.insert(at, id));
        }
        Some(result)
    }

    /// Keeps a call ready for a slot.
    pub(super) fn hold(&mut self, job: Job, flows: Option<Box<Flows>>) {
        self.offers[job.offer].held.insert(job.id);
        let timer = job.deadline.map(|at| self.timers.insert(at, job.id));
        self.held.insert(job.id, Held { job, flows, timer });
    }

    /// A held call is held no more.
    pub(super) fn unhold(&mut self, id: JobId) -> Option<Held> {
        let held = self.held.remove(&id)?;
        self.offers[held.job.offer].held.remove(&id);
        held.timer.map(|timer| self.timers.remove(timer));
        Some(held)
    }

    /// The streams of a call that is here and was not told to stop. `None` if there is no such call; `Some(None)` if it has none.
    pub(super) fn flows(&mut self, id: JobId) -> Option<Option<&mut Flows>> {
        if let Some(running) = self.running.get_mut(id) {
            return running.stopped.is_none().then_some(running.flows.as_deref_mut());
        }
        self.held.get_mut(&id).map(|held| held.flows.as_deref_mut())
    }

    /// Whether the call runs.
    pub(super) fn runs(&self, id: JobId) -> bool {
        self.running.contains(id)
    }

    /// The running calls with items in some direction that were not told to stop.
    pub(super) fn streaming(&self) -> Vec<JobId> {
        let streams = |running: &Running| running.flows.as_ref().is_some_and(|flows| !flows.streams.style().is_unary());
        let running = self.running.iter().filter(|(_, running)| running.stopped.is_none() && streams(running));
        running.map(|(id, _)| id).collect()
    }

    /// The held call of this offer whose turn it is, if a slot is free for it.
    pub(super) fn next_held(&mut self, offer: usize) -> Option<Held> {
        let slots = &self.offers[offer];
        let id = *slots.held.first().filter(|_| slots.running < slots.total)?;
        self.unhold(id)
    }

    /// The held calls, in the order of the broker's numbers.
    pub(super) fn held(&self) -> Vec<JobId> {
        self.held.keys().copied().collect()
    }

    /// The running calls that were not told to stop.
    pub(super) fn unstopped(&self) -> Vec<JobId> {
        self.running.iter().filter(|(_, running)| running.stopped.is_none()).map(|(id, _)| id).collect()
    }

    /// The timer that is due next.
    pub(super) fn first_timer(&self) -> Option<(Time, JobId)> {
        self.timers.peek().map(|(timer, id)| (timer.at(), id))
    }

    pub(super) fn running_len(&self) -> usize {
        self.running.len()
    }

    pub(super) fn held_len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn check(&self) {
        for (at, slots) in self.offers.iter().enumerate() {
            let running = self.running.iter().filter(|(_, running)| running.offer == at).count();
            assert_eq!(slots.running, running, "running calls are counted");
            assert!(slots.running <= slots.total, "no more calls run than there are slots");
            assert!(slots.held.len() <= slots.prefetch, "no more calls are held than prefetch says");
            assert!(slots.held.is_empty() || slots.running == slots.total, "none is held while a slot is free");
            assert!(
                slots.held.iter().all(|id| self.held.get(id).is_some_and(|held| held.job.offer == at)),
                "held calls are known"
            );
        }
        let held: usize = self.offers.iter().map(|slots| slots.held.len()).sum();
        assert_eq!(self.held.len(), held, "each is held by one offer");
        assert!(self.held.keys().all(|&id| !self.running.contains(id)), "what is held does not run");
        let held = self.held.iter().map(|(&id, held)| (id, held.job.deadline, held.timer));
        let running = self.running.iter().map(|(id, running)| (id, running.next_due(), running.timer));
        let mut timers = 0;
        for (id, due, timer) in held.chain(running) {
            assert_eq!(timer.map(DeadlineKey::at), due, "each call has the timer that it needs");
            assert!(timer.is_none_or(|timer| self.timers.contains(timer, id)), "its timer is set");
            timers += usize::from(timer.is_some());
        }
        assert_eq!(self.timers.len(), timers, "no timer outlives its call");
        for flows in self.running.iter().filter_map(|(_, running)| running.flows.as_ref()) {
            flows.writer.check();
            flows.reader.check();
        }
    }
}

fn methods(register: &Register) -> BTreeMap<String, (usize, usize)> {
    let mut methods = BTreeMap::new();
    for (at, offer) in register.offers.iter().enumerate() {
        for (place, method) in offer.methods.iter().enumerate() {
            methods.insert(format!("{}.{}", offer.service, method.name), (at, place));
        }
    }
    methods
}
