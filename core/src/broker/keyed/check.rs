//! What must hold of keys after every step.

use std::collections::BTreeMap;

use super::super::{
    Broker,
    call::{CallKey, State},
    service::ServiceKey,
    timers::Timer,
    worker::WorkerKey,
};
use crate::wire::affinity::AffinityKey;

impl Broker {
    /// Each call with a key has the turn or waits for it, nobody waits for what is free, and each bucket is its workers'.
    pub(in crate::broker) fn check_keys(&self) {
        assert!(self.loose.is_empty(), "nothing is left loose");
        let mut buckets = BTreeMap::<WorkerKey, usize>::new();
        let mut held = BTreeMap::<(ServiceKey, AffinityKey), usize>::new();
        for (key, calls) in self.workers.values().flat_map(|worker| &worker.held) {
            assert!(*calls > 0, "a key that a worker holds is held");
            *held.entry(key.clone()).or_default() += calls;
        }
        for (&service, known) in &self.services {
            let Some(keyed) = &known.keyed else { continue };
            let bytes: usize = keyed.iter().map(|call| self.calls[call.0].body.len()).sum();
            assert_eq!((keyed.waiting, keyed.bytes), (keyed.iter().count(), bytes), "who waits is counted");
            for bucket in keyed.buckets.values() {
                assert!(!bucket.keys.is_empty() || !bucket.workers.is_empty(), "a bucket is in use");
                bucket.workers.iter().for_each(|&worker| *buckets.entry(worker).or_default() += 1);
                for (name, key) in &bucket.keys {
                    assert!(!key.is_unused(), "a key is in use");
                    assert_eq!(key.held, held.remove(&(service, name.clone())).unwrap_or(0), "holders are counted");
                    let young = self.timers.contains(&(self.keys_from, Timer::Keys));
                    assert!(key.lanes.is_empty() || !key.is_free() || young, "a call waits for a key that is free");
                }
            }
        }
        assert!(held.is_empty(), "what is held is known");
        for (key, worker) in &self.workers {
            assert_eq!(worker.buckets, buckets.remove(key).unwrap_or(0), "buckets of a worker are counted");
            assert!(worker.buckets == 0 || worker.takes_calls(), "who takes no calls has no buckets");
        }
        assert!(buckets.is_empty(), "a bucket's worker is there");
        self.check_turns();
    }

    fn check_turns(&self) {
        for (key, call) in &self.calls {
            let Some(turn) = &call.turn else {
                assert_ne!(call.state, State::Blocked, "who has no key waits for no turn");
                continue;
            };
            let known = self.services[&call.service].keyed.as_ref().and_then(|keyed| keyed.known(turn));
            let known = known.expect("a call's key is in use");
            let waits = known.lanes.get(&turn.lane).and_then(|lane| lane.get(&turn.number)) == Some(&CallKey(key));
            let blocked = call.state == State::Blocked;
            assert_eq!((blocked, !blocked), (waits, known.turn == Some(CallKey(key))), "a call waits, or has the turn");
            if matches!(call.state, State::Waiting { .. }) {
                assert_eq!(turn.at, self.bound_worker(call), "it waits for its bucket's worker");
                assert_eq!(known.held, 0, "nobody has the turn of a key that is held");
            }
        }
    }
}
