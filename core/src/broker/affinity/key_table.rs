//! The affinity keys of one service that are in use, and the buckets that have workers.

use std::collections::BTreeMap;

use super::{
    super::keys::{CallKey, WorkerKey},
    call_affinity::CallAffinity,
};
use crate::wire::affinity::AffinityKey;

/// The keys of one service.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    pub(super) buckets: BTreeMap<u16, Bucket>,
    /// Keys in use.
    len: usize,
    /// Calls that wait for their key, and bytes of their bodies.
    waiting: usize,
    bytes: usize,
    last_position: u64,
}

#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// The workers of the bucket: one, or several where none of them serves all methods.
    pub(super) workers: Vec<WorkerKey>,
    pub(super) fence: u64,
    keys: BTreeMap<AffinityKey, Key>,
}

/// A key in use.
#[derive(Debug, Default)]
pub(super) struct Key {
    /// The call that has the key: it is in the queue, or at a worker.
    pub(super) owner: Option<CallKey>,
    /// Calls of earlier connections that still run, as their workers reported when they registered.
    pub(super) held: usize,
    /// Calls that wait, by client, the oldest first.
    waiting: BTreeMap<u64, BTreeMap<u64, CallKey>>,
    /// The client that had the key last.
    last_client: u64,
}

impl Key {
    pub(super) fn is_free(&self) -> bool {
        self.owner.is_none() && self.held == 0
    }

    pub(super) fn is_unused(&self) -> bool {
        self.is_free() && self.waiting.is_empty()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Returns whether a call waits for the key.
    pub(super) fn is_waiting(&self, affinity: &CallAffinity, call: CallKey) -> bool {
        let calls = self.waiting.get(&affinity.client);
        calls.and_then(|calls| calls.get(&affinity.position)) == Some(&call)
    }

    /// Takes the oldest call of the client whose turn it is.
    fn pop(&mut self) -> Option<CallKey> {
        let after = self.waiting.range(self.last_client + 1..).next();
        let (&client, calls) = after.or_else(|| self.waiting.first_key_value())?;
        let &position = calls.first_key_value()?.0;
        self.last_client = client;
        self.remove(client, position)
    }

    fn remove(&mut self, client: u64, position: u64) -> Option<CallKey> {
        let calls = self.waiting.get_mut(&client)?;
        let call = calls.remove(&position);
        if calls.is_empty() {
            self.waiting.remove(&client);
        }
        call
    }
}

impl KeyTable {
    /// Returns the number of keys in use.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the number of calls that wait for their key, and the bytes of their bodies.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.waiting, self.bytes)
    }

    /// Returns the calls that wait for their key.
    pub(super) fn waiting_calls(&self) -> impl Iterator<Item = CallKey> + '_ {
        let keys = self.buckets.values().flat_map(|bucket| bucket.keys.values());
        keys.flat_map(|key| key.waiting.values()).flat_map(BTreeMap::values).copied()
    }

    /// Returns all keys in use, with their buckets.
    pub(super) fn keys(&self) -> impl Iterator<Item = (u16, &AffinityKey, &Key)> {
        let buckets = self.buckets.iter();
        buckets.flat_map(|(&number, bucket)| bucket.keys.iter().map(move |(name, key)| (number, name, key)))
    }

    /// Returns the key of a call, if it is in use.
    pub(super) fn find(&self, affinity: &CallAffinity) -> Option<&Key> {
        self.buckets.get(&affinity.bucket)?.keys.get(&affinity.key)
    }

    /// Returns a key, if it is in use.
    pub(super) fn find_mut(&mut self, key: &AffinityKey) -> Option<&mut Key> {
        self.buckets.get_mut(&key.bucket())?.keys.get_mut(key)
    }

    /// Returns the key of a call, which is in use from now on.
    pub(super) fn key_mut(&mut self, affinity: &CallAffinity) -> &mut Key {
        let bucket = self.buckets.entry(affinity.bucket).or_default();
        let len = &mut self.len;
        bucket.keys.entry(affinity.key.clone()).or_insert_with(|| {
            *len += 1;
            Key::default()
        })
    }

    /// Assigns a call its position among the calls of its key.
    pub(super) fn number(&mut self, affinity: &mut CallAffinity, client: u64) {
        self.last_position += 1;
        affinity.position = self.last_position;
        affinity.client = client;
    }

    /// Adds a call to those that wait for their key, behind the earlier ones of its client.
    pub(super) fn add_waiting(&mut self, affinity: &CallAffinity, call: CallKey, bytes: usize) {
        let waiting = &mut self.key_mut(affinity).waiting;
        waiting.entry(affinity.client).or_default().insert(affinity.position, call);
        self.waiting += 1;
        self.bytes += bytes;
    }

    /// Removes a call from those that wait for their key. Returns whether it was one of them.
    pub(super) fn remove_waiting(&mut self, affinity: &CallAffinity, bytes: usize) -> bool {
        let waited = self.key_mut(affinity).remove(affinity.client, affinity.position).is_some();
        if waited {
            self.uncount_waiting(bytes);
        }
        waited
    }

    /// Gives a free key to the next call that waits for it. The call is still counted as waiting until
    /// [`KeyTable::uncount_waiting`].
    pub(super) fn pop_waiting(&mut self, key: &AffinityKey) -> Option<CallKey> {
        let entry = self.find_mut(key)?;
        entry.owner = entry.pop();
        entry.owner
    }

    /// Removes a call from the counts of waiting calls.
    pub(super) fn uncount_waiting(&mut self, bytes: usize) {
        self.waiting -= 1;
        self.bytes -= bytes;
    }

    /// Removes a key that is not in use, and a bucket that has neither keys nor workers.
    pub(super) fn tidy(&mut self, bucket: u16, key: Option<&AffinityKey>) {
        let Some(entry) = self.buckets.get_mut(&bucket) else { return };
        if let Some(key) = key.filter(|key| entry.keys.get(key).is_some_and(Key::is_unused)) {
            entry.keys.remove(key);
            self.len -= 1;
        }
        if entry.keys.is_empty() && entry.workers.is_empty() {
            self.buckets.remove(&bucket);
        }
    }

    /// Returns the calls of a bucket that have their keys.
    pub(super) fn owners(&self, bucket: u16) -> Vec<CallKey> {
        let keys = self.buckets.get(&bucket).into_iter().flat_map(|bucket| bucket.keys.values());
        keys.filter_map(|key| key.owner).collect()
    }

    /// Asserts that buckets and keys are in use.
    pub(super) fn assert_invariants(&self) {
        assert_eq!(self.len, self.keys().count(), "keys in use are counted");
        for bucket in self.buckets.values() {
            assert!(!bucket.keys.is_empty() || !bucket.workers.is_empty(), "a bucket is in use");
            assert!(bucket.keys.values().all(|key| !key.is_unused()), "a key is in use");
        }
    }
}
