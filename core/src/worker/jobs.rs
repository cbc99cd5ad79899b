//! The table of a worker's calls, running and prefetched, and its free slots.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    job::{CallStreams, Job, JobId, Prefetched, Running},
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
    /// The slots that all offers share, if the worker limits its calls over all offers.
    shared: Option<SharedSlots>,
    /// The offer and the index in it of each method, by its full name as in dispatches.
    methods: BTreeMap<String, (usize, usize)>,
    /// The running calls, including those of earlier connections. Slots bound their number.
    running: JobMap<Running>,
    /// The prefetched calls, all of this connection. Slots and prefetch bound their number.
    prefetched: BTreeMap<JobId, Prefetched>,
    timers: DeadlineQueue<JobId>,
}

/// The slots of one offer.
#[derive(Debug)]
struct OfferSlots {
    total: usize,
    prefetch: usize,
    running: usize,
    /// The running calls that count as long.
    long: usize,
    /// The prefetched calls, in the order of their numbers.
    prefetched: BTreeSet<JobId>,
}

/// The slots that all offers share.
#[derive(Debug)]
struct SharedSlots {
    total: usize,
    prefetch: usize,
}

/// What to do with one more call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// Run it: a slot of its offer, and of the worker, is free.
    Run,
    /// Keep it until a slot is free.
    Prefetch,
    /// Hand it back: long calls have all slots, and another worker may be free.
    Blocked,
    /// Hand it back: all slots and the prefetch are taken, of its offer or of the worker.
    Full,
}

impl Jobs {
    pub(super) fn new(register: &Register) -> Jobs {
        let slots = register.offers.iter().map(|offer| OfferSlots {
            total: size(offer.slots),
            prefetch: size(offer.prefetch),
            running: 0,
            long: 0,
            prefetched: BTreeSet::new(),
        });
        Jobs {
            offers: slots.collect(),
            shared: register.slots.map(|slots| SharedSlots { total: size(slots), prefetch: size(register.prefetch) }),
            methods: methods(register),
            running: JobMap::default(),
            prefetched: BTreeMap::new(),
            timers: DeadlineQueue::default(),
        }
    }

    /// Returns the offer of a method, and its index in the offer.
    pub(super) fn find_method(&self, method: &MethodName) -> Option<(usize, usize)> {
        self.methods.get(method.as_str()).copied()
    }

    /// Returns whether the call runs or is prefetched.
    pub(super) fn contains(&self, id: JobId) -> bool {
        self.running.contains(id) || self.prefetched.contains_key(&id)
    }

    /// Decides what to do with one more call of an offer.
    pub(super) fn placement(&self, offer: usize) -> Placement {
        let slots = &self.offers[offer];
        if slots.has_free_slot() && self.has_free_shared_slot() {
            Placement::Run
        } else if self.is_blocked(offer) {
            Placement::Blocked
        } else if slots.may_prefetch() && self.may_prefetch() {
            Placement::Prefetch
        } else {
            Placement::Full
        }
    }

    /// Returns whether long calls have every slot that a call of an offer could use.
    fn is_blocked(&self, offer: usize) -> bool {
        let long = || self.offers.iter().map(|slots| slots.long).sum::<usize>();
        self.offers[offer].is_blocked() || self.shared.as_ref().is_some_and(|shared| long() >= shared.total)
    }

    /// Counts a running call as long.
    pub(super) fn mark_long(&mut self, id: JobId) {
        if let Some(running) = self.running.get_mut(id)
            && !std::mem::replace(&mut running.is_long, true)
        {
            self.offers[running.offer].long += 1;
        }
    }

    /// Counts all running calls as long, after their connection is lost: the broker counts their slots as taken.
    pub(super) fn mark_all_long(&mut self) {
        let running: Vec<JobId> = self.running.iter().map(|(id, _)| id).collect();
        running.into_iter().for_each(|id| self.mark_long(id));
    }

    /// Removes and returns the oldest prefetched call that long calls block.
    pub(super) fn next_blocked(&mut self) -> Option<Prefetched> {
        let blocked = (0..self.offers.len()).filter(|&offer| self.is_blocked(offer));
        let id = blocked.filter_map(|offer| self.offers[offer].prefetched.first()).min().copied()?;
        self.take_prefetched(id)
    }

    /// Returns whether the worker may run one more call, of any offer.
    fn has_free_shared_slot(&self) -> bool {
        self.shared.as_ref().is_none_or(|shared| self.running.len() < shared.total)
    }

    /// Returns whether the worker may have one more call, of any offer.
    fn may_prefetch(&self) -> bool {
        let calls = self.running.len() + self.prefetched.len();
        self.shared.as_ref().is_none_or(|shared| calls < shared.total + shared.prefetch)
    }

    /// Returns how many slots of an offer are free.
    pub(super) fn free(&self, offer: usize) -> u32 {
        let slots = &self.offers[offer];
        u32::try_from(slots.total - slots.running).unwrap_or(u32::MAX)
    }

    /// Returns the affinity keys of the running calls of an offer.
    pub(super) fn keys(&self, offer: usize) -> Vec<AffinityKey> {
        let running = self.running.iter().map(|(_, running)| running).filter(|running| running.offer == offer);
        running.filter_map(|running| running.key.clone()).collect()
    }

    /// Adds a running call, which takes a slot.
    pub(super) fn start(&mut self, now: Time, job: &Job, streams: Option<Box<CallStreams>>) {
        self.offers[job.offer].running += 1;
        let mut running = Running::new(now, job, streams);
        running.timer = running.next_due().map(|at| self.timers.insert(at, job.id));
        self.running.insert(job.id, running);
    }

    /// Removes a running call, which frees its slot.
    pub(super) fn finish(&mut self, id: JobId) -> Option<Running> {
        let running = self.running.remove(id)?;
        self.offers[running.offer].running -= 1;
        self.offers[running.offer].long -= usize::from(running.is_long);
        running.timer.map(|timer| self.timers.remove(timer));
        Some(running)
    }

    /// Updates a running call, and moves its timer if that changes.
    pub(super) fn update<R>(&mut self, id: JobId, update: impl FnOnce(&mut Running) -> R) -> Option<R> {
        let running = self.running.get_mut(id)?;
        let result = update(running);
        let due = running.next_due();
        if due != running.timer.map(DeadlineKey::at) {
            running.timer.map(|timer| self.timers.remove(timer));
            running.timer = due.map(|at| self.timers.insert(at, id));
        }
        Some(result)
    }

    /// Adds a call that waits for a slot.
    pub(super) fn prefetch(&mut self, job: Job, streams: Option<Box<CallStreams>>) {
        self.offers[job.offer].prefetched.insert(job.id);
        let timer = job.deadline.map(|at| self.timers.insert(at, job.id));
        self.prefetched.insert(job.id, Prefetched { job, streams, timer });
    }

    /// Removes a prefetched call.
    pub(super) fn take_prefetched(&mut self, id: JobId) -> Option<Prefetched> {
        let call = self.prefetched.remove(&id)?;
        self.offers[call.job.offer].prefetched.remove(&id);
        call.timer.map(|timer| self.timers.remove(timer));
        Some(call)
    }

    /// Returns the stream state of a call that was not asked to stop. `None` if there is no such call, `Some(None)` if it has no
    /// streams.
    pub(super) fn streams(&mut self, id: JobId) -> Option<Option<&mut CallStreams>> {
        if let Some(running) = self.running.get_mut(id) {
            return running.stopped.is_none().then_some(running.streams.as_deref_mut());
        }
        self.prefetched.get_mut(&id).map(|call| call.streams.as_deref_mut())
    }

    /// Returns whether the call runs.
    pub(super) fn is_running(&self, id: JobId) -> bool {
        self.running.contains(id)
    }

    /// Returns the running calls with item streams that were not asked to stop.
    pub(super) fn streaming(&self) -> Vec<JobId> {
        let has_items =
            |running: &Running| running.streams.as_ref().is_some_and(|streams| !streams.declared.style.is_unary());
        let running = self.running.iter().filter(|(_, running)| running.stopped.is_none() && has_items(running));
        running.map(|(id, _)| id).collect()
    }

    /// Removes and returns the oldest prefetched call that has a free slot, after a call of the offer `ended` has ended. If the offers
    /// share slots, the call may be of any offer.
    pub(super) fn next_prefetched(&mut self, ended: usize) -> Option<Prefetched> {
        let offers = match &self.shared {
            None => &self.offers[ended..=ended],
            Some(shared) if self.running.len() < shared.total => &self.offers[..],
            Some(_) => &[],
        };
        let id = offers.iter().filter_map(OfferSlots::next_prefetched).min()?;
        self.take_prefetched(id)
    }

    /// Returns the prefetched calls, in the order of their numbers.
    pub(super) fn prefetched(&self) -> Vec<JobId> {
        self.prefetched.keys().copied().collect()
    }

    /// Returns the running calls that were not asked to stop.
    pub(super) fn unstopped(&self) -> Vec<JobId> {
        self.running.iter().filter(|(_, running)| running.stopped.is_none()).map(|(id, _)| id).collect()
    }

    /// Returns the timer that is due next.
    pub(super) fn first_timer(&self) -> Option<(Time, JobId)> {
        self.timers.peek().map(|(timer, id)| (timer.at(), id))
    }

    pub(super) fn running_len(&self) -> usize {
        self.running.len()
    }

    pub(super) fn prefetched_offers(&self) -> impl Iterator<Item = usize> + '_ {
        self.prefetched.values().map(|call| call.job.offer)
    }

    pub(super) fn prefetched_len(&self) -> usize {
        self.prefetched.len()
    }

    pub(super) fn assert_invariants(&self) {
        for (at, slots) in self.offers.iter().enumerate() {
            let running = self.running.iter().filter(|(_, running)| running.offer == at).count();
            assert_eq!(slots.running, running, "running calls are counted");
            let is_long = |running: &Running| running.offer == at && running.is_long;
            let long = self.running.iter().filter(|(_, running)| is_long(running)).count();
            assert_eq!(slots.long, long, "long calls are counted");
            assert!(slots.prefetched.is_empty() || !self.is_blocked(at), "no call is prefetched behind long calls");
            slots.assert_invariants();
            assert!(
                slots.next_prefetched().is_none() || !self.has_free_shared_slot(),
                "no prefetched call waits while a slot is free"
            );
            assert!(
                slots.prefetched.iter().all(|id| self.prefetched.get(id).is_some_and(|call| call.job.offer == at)),
                "prefetched calls of an offer are in the table"
            );
        }
        if let Some(shared) = &self.shared {
            let (running, prefetched) = (self.running.len(), self.prefetched.len());
            assert!(running <= shared.total, "running calls do not exceed the slots of the worker");
            assert!(
                running + prefetched <= shared.total + shared.prefetch,
                "the calls of the worker do not exceed its slots and prefetch"
            );
        }
        let prefetched: usize = self.offers.iter().map(|slots| slots.prefetched.len()).sum();
        assert_eq!(self.prefetched.len(), prefetched, "each prefetched call belongs to one offer");
        assert!(self.prefetched.keys().all(|&id| !self.running.contains(id)), "a prefetched call does not run");
        let prefetched = self.prefetched.iter().map(|(&id, call)| (id, call.job.deadline, call.timer));
        let running = self.running.iter().map(|(id, running)| (id, running.next_due(), running.timer));
        let mut timers = 0;
        for (id, due, timer) in prefetched.chain(running) {
            assert_eq!(timer.map(DeadlineKey::at), due, "each call has the timer that it needs");
            assert!(timer.is_none_or(|timer| self.timers.contains(timer, id)), "the timer of a call is set");
            timers += usize::from(timer.is_some());
        }
        assert_eq!(self.timers.len(), timers, "no timer outlives its call");
        for streams in self.running.iter().filter_map(|(_, running)| running.streams.as_ref()) {
            streams.writer.assert_invariants();
            streams.reader.assert_invariants();
        }
    }
}

impl OfferSlots {
    fn has_free_slot(&self) -> bool {
        self.running < self.total
    }

    /// Returns whether long calls have all slots.
    fn is_blocked(&self) -> bool {
        self.long >= self.total
    }

    /// Returns whether the offer may have one more call.
    fn may_prefetch(&self) -> bool {
        self.running + self.prefetched.len() < self.total + self.prefetch
    }

    /// Returns the oldest prefetched call, if a slot of the offer is free for it.
    fn next_prefetched(&self) -> Option<JobId> {
        self.prefetched.first().copied().filter(|_| self.has_free_slot())
    }

    fn assert_invariants(&self) {
        assert!(self.running <= self.total, "running calls do not exceed the slots");
        let calls = self.running + self.prefetched.len();
        assert!(calls <= self.total + self.prefetch, "the calls of an offer do not exceed its slots and prefetch");
    }
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Returns the offer and the index in it of each method, by its full name.
fn methods(register: &Register) -> BTreeMap<String, (usize, usize)> {
    let mut methods = BTreeMap::new();
    for (at, offer) in register.offers.iter().enumerate() {
        for (place, method) in offer.methods.iter().enumerate() {
            methods.insert(format!("{}.{}", offer.service, method.name), (at, place));
        }
    }
    methods
}
