//! Affinity keys: calls of one key of a service run one at a time, on one worker, in the order in which each client made them.
//!
//! A key is in one of its service's 1,024 *buckets*. A bucket belongs to the worker that got its first call.
//!
//! States of a key:
//!
//! | state | meaning |
//! |---|---|
//! | free | no call of it is here: it costs no memory |
//! | owned | one call has the key: it is in the service's queue like any other, or at a worker; the others wait in the bucket |
//! | held | a worker that registered again still runs a call of an earlier connection with this key: no call can have it |
//! | early | the broker started so recently that workers may run calls of it which they have not reported yet: no call can have it |
//!
//! Events:
//!
//! - **A call arrives**: it takes a free key, else it waits in the bucket. A call that gets the key later goes to the end of its client's
//!   flow in the service's queue, like one that has just arrived.
//! - **A call with its key is scheduled**: at the bucket's worker and at no other, though others have room. For a bucket without a
//!   worker, of the workers with room the one with the fewest buckets is chosen.
//! - **A call ends** (its worker's final message, or its end in the queue): the key goes round among the clients that wait, each with its
//!   oldest call. A timeout or a cancel does not end a call that runs: its worker may still run it.
//! - **A call comes back** (handed back, or its worker was lost): it keeps the key, so no other call of the key is run first.
//! - **A worker drains, is lost, or is unresponsive**: its buckets have no worker. A key whose call runs there stays owned until that ends.
//! - **A worker registers again with calls that it still runs**: their keys are held until each ends, or the worker is lost. Their buckets
//!   are its own again, unless another worker got them meanwhile.
//! - **The broker starts**: all keys are early for one heartbeat timeout, because workers come back one after another.
//!
//! Failures that remain:
//!
//! - A lost worker may run on while its keys are served elsewhere. Each time a bucket loses a worker its *fence* increases, across starts
//!   of the broker, too. Each call carries it, and what the handler writes to can reject a lower one.
//! - A worker may serve some methods of a service only: a bucket may then have several workers, each for its methods. The key is owned by
//!   one call, at whichever worker.
//! - A call waiting for a method that no worker offers now, but may offer soon, owns its key meanwhile: the key waits as long as that call.
//!   Another rule would change the order of a client's calls.

mod call_affinity;
mod key_table;

use std::{collections::BTreeMap, time::Duration};

pub(crate) use self::call_affinity::CallAffinity;
use self::key_table::{Key, KeyTable};
use super::{
    calls::{Call, CallState, Calls},
    deferred::{Deferred, DeferredWork},
    keys::{CallKey, ClientKey, ServiceKey, WorkerKey},
    registry::{Candidate, Registry},
    timers::{Timer, Timers},
};
use crate::{
    time::Time,
    wire::{affinity::AffinityKey, limits::HEARTBEATS_MISSED_MAX},
};

/// The affinity keys of all services.
#[derive(Debug)]
pub(crate) struct Affinity {
    /// When calls with affinity keys may be dispatched: each worker of an earlier start has returned by then, or is lost.
    not_before: Time,
    /// The fence of the next bucket that gets a worker. It is above those of all buckets that lost one.
    next_fence: u64,
    services: BTreeMap<ServiceKey, KeyTable>,
    workers: BTreeMap<WorkerKey, WorkerKeys>,
}

/// The buckets and keys of one worker. Workers without any are not listed.
#[derive(Debug, Default)]
struct WorkerKeys {
    /// Buckets that belong to it.
    buckets: usize,
    /// Keys of calls of earlier connections that it still runs, with the number of such calls.
    held: BTreeMap<(ServiceKey, AffinityKey), usize>,
}

impl Affinity {
    /// Creates the table of a broker that starts now. `first_fence` is above all fences of earlier starts.
    pub(crate) fn new(now: Time, heartbeat: Duration, first_fence: u64) -> Affinity {
        Affinity {
            not_before: now + heartbeat * HEARTBEATS_MISSED_MAX,
            next_fence: first_fence,
            services: BTreeMap::new(),
            workers: BTreeMap::new(),
        }
    }

    /// Gives a call its key, if the key is free. Returns true if the call now has its key, or needs none.
    pub(crate) fn acquire(&mut self, now: Time, key: CallKey, call: &mut Call, timers: &mut Timers) -> bool {
        let Some(affinity) = &mut call.affinity else { return true };
        let table = self.services.entry(call.service).or_default();
        if affinity.position == 0 {
            table.number(affinity, call.client.map_or(0, ClientKey::number));
        }
        let early = now < self.not_before;
        let entry = table.key_mut(affinity);
        if entry.is_unused() && !early {
            entry.owner = Some(key);
        }
        if entry.owner == Some(key) && entry.held == 0 {
            return true;
        }
        entry.owner.take_if(|owner| *owner == key);
        if early {
            timers.set(self.not_before, Timer::AffinityStart);
        }
        false
    }

    /// Adds a call to those that wait for their key.
    pub(crate) fn add_waiting(&mut self, key: CallKey, call: &mut Call) {
        let affinity = call.affinity.as_mut().expect("only a call with a key waits for one");
        affinity.admitted = true;
        affinity.worker = None;
        let table = self.services.get_mut(&call.service).expect("the call has asked for its key");
        table.add_waiting(affinity, key, call.body.len());
    }

    /// Removes a call that ends, and defers the next call of its key. Returns whether the call waited for the key.
    pub(crate) fn remove(&mut self, key: CallKey, call: &Call, deferred: &mut Deferred) -> bool {
        let Some(affinity) = &call.affinity else { return false };
        let Some(table) = self.services.get_mut(&call.service) else { return false };
        table.key_mut(affinity).owner.take_if(|owner| *owner == key);
        let waited = table.remove_waiting(affinity, call.body.len());
        deferred.add(DeferredWork::NextOfKey(call.service, affinity.key.clone()));
        waited
    }

    /// Takes the key from a queued call, which the caller then adds to the calls that wait for the key.
    pub(crate) fn take_key(&mut self, call: &Call) {
        if let (Some(affinity), Some(table)) = (&call.affinity, self.services.get_mut(&call.service)) {
            table.key_mut(affinity).owner = None;
        }
    }

    /// Gives a free key to the next call that waits for it, and returns that call. Removes the key if no call uses it.
    pub(crate) fn pop_waiting(&mut self, now: Time, service: ServiceKey, key: &AffinityKey) -> Option<CallKey> {
        let table = self.services.get_mut(&service)?;
        let may = table.find_mut(key)?.is_free() && now >= self.not_before;
        let call = may.then(|| table.pop_waiting(key)).flatten();
        if call.is_none() {
            table.tidy(key.bucket(), Some(key));
        }
        call
    }

    /// Removes a call from the counts of waiting calls, after [`Affinity::pop_waiting`] has returned it.
    pub(crate) fn uncount_waiting(&mut self, call: &Call) {
        if let Some(table) = self.services.get_mut(&call.service) {
            table.uncount_waiting(call.body.len());
        }
    }

    /// Starts the dispatch of calls with keys: defers a check of every key for a call that waits for it.
    pub(crate) fn start(&self, deferred: &mut Deferred) {
        for (&service, table) in &self.services {
            table.keys().for_each(|(_, key, _)| deferred.add(DeferredWork::NextOfKey(service, key.clone())));
        }
    }

    /// Returns the number of keys in use, of all services.
    pub(crate) fn keys_len(&self) -> usize {
        self.services.values().map(KeyTable::len).sum()
    }

    /// Returns the number of a service's calls that wait for their keys, and the bytes of their bodies.
    pub(crate) fn waiting(&self, service: ServiceKey) -> (usize, usize) {
        self.services.get(&service).map_or((0, 0), KeyTable::waiting)
    }

    /// Returns a service's calls that wait for their keys.
    pub(crate) fn waiting_calls(&self, service: ServiceKey) -> impl Iterator<Item = CallKey> + '_ {
        self.services.get(&service).into_iter().flat_map(KeyTable::waiting_calls)
    }

    /// Removes a service without calls and offers.
    pub(crate) fn remove_service(&mut self, service: ServiceKey) {
        self.services.remove(&service);
    }

    /// Returns the worker of a call's bucket that offers its method.
    pub(crate) fn bound_worker(&self, call: &Call, registry: &Registry) -> Option<WorkerKey> {
        let (affinity, method) = (call.affinity.as_ref()?, call.method_index()?);
        let bucket = self.services.get(&call.service)?.buckets.get(&affinity.bucket)?;
        bucket.workers.iter().copied().find(|&worker| registry.serves(worker, call.service, method))
    }

    /// Returns the best offer with room for a call with a key: one of its bucket's worker. If the bucket has no worker, one of the worker
    /// with the fewest buckets, which will keep this bucket.
    pub(crate) fn choose_offer(&self, call: &Call, registry: &Registry) -> Option<Candidate> {
        let method = call.method_index()?;
        if let Some(worker) = self.bound_worker(call, registry) {
            return registry.best_offer_of(worker, call.service, method);
        }
        let free = registry.free_offers(call.service, method);
        free.min_by_key(|candidate| self.workers.get(&candidate.worker).map_or(0, |keys| keys.buckets))
    }

    /// Binds a bucket with a key in use to a worker. Returns the fence of the bucket, and whether the binding is new.
    pub(crate) fn bind(&mut self, service: ServiceKey, key: &AffinityKey, worker: WorkerKey) -> (u64, bool) {
        let table = self.services.get_mut(&service).expect("a service with a key in use is listed");
        let bucket = table.buckets.get_mut(&key.bucket()).expect("a bucket with a key in use is listed");
        if bucket.workers.contains(&worker) {
            return (bucket.fence, false);
        }
        bucket.workers.push(worker);
        bucket.fence = self.next_fence;
        self.workers.entry(worker).or_default().buckets += 1;
        (self.next_fence, true)
    }

    /// Takes all buckets of these services from a worker that drains, is unresponsive or is lost.
    pub(crate) fn unbind(
        &mut self,
        worker: WorkerKey,
        services: impl Iterator<Item = ServiceKey>,
        deferred: &mut Deferred,
    ) {
        let Some(keys) = self.workers.get_mut(&worker).filter(|keys| keys.buckets > 0) else { return };
        keys.buckets = 0;
        for service in services {
            for (&number, bucket) in self.services.get_mut(&service).into_iter().flat_map(|table| &mut table.buckets) {
                if bucket.workers.contains(&worker) {
                    bucket.workers.retain(|&other| other != worker);
                    // The fence is for the next owner, whichever worker that is: another worker of the bucket, a new
                    // one, or this one after a reconnect.
                    self.next_fence += 1;
                    bucket.fence = self.next_fence;
                    deferred.add(DeferredWork::RescheduleBucket(service, number));
                }
            }
        }
        self.remove_worker_if_idle(worker);
    }

    /// Returns the calls of a bucket that have their keys. Removes the bucket if it is not in use.
    pub(crate) fn tidy_bucket(&mut self, service: ServiceKey, bucket: u16) -> Vec<CallKey> {
        let Some(table) = self.services.get_mut(&service) else { return Vec::new() };
        table.tidy(bucket, None);
        table.owners(bucket)
    }

    /// Returns the calls of a bucket that have their keys.
    pub(crate) fn owners(&self, service: ServiceKey, bucket: u16) -> Vec<CallKey> {
        self.services.get(&service).map_or(Vec::new(), |table| table.owners(bucket))
    }

    /// Holds a key for a call of an earlier connection that a worker still runs. Returns the call that has the key, and whether the
    /// bucket has a worker.
    pub(crate) fn hold(
        &mut self,
        worker: WorkerKey,
        service: ServiceKey,
        key: &AffinityKey,
    ) -> (Option<CallKey>, bool) {
        *self.workers.entry(worker).or_default().held.entry((service, key.clone())).or_default() += 1;
        let table = self.services.entry(service).or_default();
        let entry = table.key_mut(&CallAffinity::new(key));
        entry.held += 1;
        let owner = entry.owner;
        (owner, !table.buckets[&key.bucket()].workers.is_empty())
    }

    /// Releases one hold of a worker on a key: a call of an earlier connection has ended. Does nothing if the worker has none.
    pub(crate) fn release(
        &mut self,
        worker: WorkerKey,
        service: ServiceKey,
        key: &AffinityKey,
        deferred: &mut Deferred,
    ) {
        let held = (service, key.clone());
        let Some(keys) = self.workers.get_mut(&worker) else { return };
        let Some(calls) = keys.held.get_mut(&held) else { return };
        *calls -= 1;
        if *calls == 0 {
            keys.held.remove(&held);
        }
        self.remove_worker_if_idle(worker);
        self.release_held(held, 1, deferred);
    }

    /// Releases all holds of a worker that is lost or registers again.
    pub(crate) fn release_all(&mut self, worker: WorkerKey, deferred: &mut Deferred) {
        let held = self.workers.get_mut(&worker).map(|keys| std::mem::take(&mut keys.held));
        self.remove_worker_if_idle(worker);
        held.into_iter().flatten().for_each(|(held, calls)| self.release_held(held, calls, deferred));
    }

    fn release_held(&mut self, (service, key): (ServiceKey, AffinityKey), calls: usize, deferred: &mut Deferred) {
        let entry = self.services.get_mut(&service).and_then(|table| table.find_mut(&key));
        entry.expect("a key that is held is in use").held -= calls;
        deferred.add(DeferredWork::NextOfKey(service, key));
    }

    fn remove_worker_if_idle(&mut self, worker: WorkerKey) {
        if self.workers.get(&worker).is_some_and(|keys| keys.buckets == 0 && keys.held.is_empty()) {
            self.workers.remove(&worker);
        }
    }

    /// Returns why a call waits for its key.
    pub(crate) fn explain(&self, now: Time, call: &Call, calls: &Calls) -> String {
        let Some(affinity) = &call.affinity else { return String::new() };
        let key = &affinity.key;
        if now < self.not_before {
            let left = self.not_before.since(now).as_millis();
            return format!(
                "the broker has just started: for {left} ms more, workers may reconnect that run calls of key {key}"
            );
        }
        match self.services.get(&call.service).and_then(|table| table.find(affinity)) {
            Some(Key { held: 1.., .. }) => {
                format!(
                    "a reconnected worker still runs an earlier call of key {key}, and calls of one key run one at a time"
                )
            }
            Some(Key { owner: Some(first), .. }) => {
                format!("{} has key {key}, and calls of one key run one at a time", calls[*first].id())
            }
            _ => format!("other calls of key {key} are ahead of it"),
        }
    }

    /// Asserts that each call with a key has it or waits for it, that no call waits for a free key, and that buckets belong to workers.
    pub(crate) fn assert_invariants(&self, calls: &Calls, registry: &Registry, timers: &Timers) {
        self.assert_tables(calls, timers);
        self.assert_workers(registry);
        for (key, call) in calls.iter() {
            self.assert_call(key, call, registry);
        }
    }

    fn assert_tables(&self, calls: &Calls, timers: &Timers) {
        let starts = timers.is_set(self.not_before, Timer::AffinityStart);
        for table in self.services.values() {
            table.assert_invariants();
            let bytes: usize = table.waiting_calls().map(|call| calls[call].body.len()).sum();
            assert_eq!(table.waiting(), (table.waiting_calls().count(), bytes), "waiting calls are counted");
            for (_, _, key) in table.keys() {
                assert!(!key.has_waiting() || !key.is_free() || starts, "no call waits for a free key");
            }
        }
    }

    fn assert_workers(&self, registry: &Registry) {
        let mut buckets = BTreeMap::<WorkerKey, usize>::new();
        let mut held = BTreeMap::<(ServiceKey, AffinityKey), usize>::new();
        for keys in self.workers.values() {
            keys.held.iter().for_each(|(key, calls)| *held.entry(key.clone()).or_default() += calls);
            assert!(keys.held.values().all(|&calls| calls > 0), "a key that a worker holds is held by a call");
        }
        for (&service, table) in &self.services {
            let workers = table.buckets.values().flat_map(|bucket| &bucket.workers);
            workers.for_each(|&worker| *buckets.entry(worker).or_default() += 1);
            for (_, name, key) in table.keys() {
                assert_eq!(key.held, held.remove(&(service, name.clone())).unwrap_or(0), "holds are counted");
            }
        }
        assert!(held.is_empty(), "a held key is in use");
        for (worker, keys) in &self.workers {
            assert_eq!(keys.buckets, buckets.remove(worker).unwrap_or(0), "buckets of a worker are counted");
            let takes_calls = registry.find_worker(*worker).is_some_and(|worker| worker.takes_calls());
            assert!(keys.buckets == 0 || takes_calls, "a worker with buckets takes calls");
        }
        assert!(buckets.is_empty(), "a bucket's worker is listed");
    }

    fn assert_call(&self, key: CallKey, call: &Call, registry: &Registry) {
        let Some(affinity) = &call.affinity else {
            assert_ne!(call.state, CallState::WaitingForKey, "a call without a key waits for none");
            return;
        };
        let known = self.services.get(&call.service).and_then(|table| table.find(affinity));
        let known = known.expect("a call's key is in use");
        let waits = call.state == CallState::WaitingForKey;
        let found = (known.is_waiting(affinity, key), known.owner == Some(key));
        assert_eq!((waits, !waits), found, "a call waits for its key, or has it");
        if matches!(call.state, CallState::Queued { .. }) {
            assert_eq!(affinity.worker, self.bound_worker(call, registry), "it waits for its bucket's worker");
            assert_eq!(known.held, 0, "no call has a key that is held");
        }
    }
}
