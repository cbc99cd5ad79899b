//! The reply cache of one session: outcomes that its client has not acknowledged yet.

use bytes::Bytes;

use super::super::outcome::{Outcome, cached_bytes, detached};
use crate::{
    sequence_map::SequenceMap,
    wire::{
        extensions::Extensions,
        ids::CallNumber,
        limits::{OUTCOME_OVERHEAD_BYTES, SESSION_OUTCOME_BYTES_MAX, SESSION_OUTCOMES_MAX},
    },
};

/// The largest body that is kept in a pooled buffer. Such a buffer has room for some hundred bytes; each outcome is accounted for more.
const SMALL_BYTES_MAX: usize = OUTCOME_OVERHEAD_BYTES / 2;
/// Buffers that wait for reuse, of all clients: some windows of calls that are answered before they are acknowledged.
const POOLED_MAX: usize = 1024;

/// Outcomes by call number, with the extensions of their replies.
#[derive(Debug, Default)]
pub(crate) struct ReplyCache {
    replies: SequenceMap<(CachedReply, Extensions)>,
    bytes: usize,
}

/// Buffers for small bodies, for reuse: an allocation for each would cost more than all other work of caching.
#[derive(Debug, Default)]
pub(crate) struct BufferPool(Vec<Vec<u8>>);

impl BufferPool {
    fn copy(&mut self, body: &[u8]) -> Vec<u8> {
        let mut copy = self.0.pop().unwrap_or_default();
        copy.extend_from_slice(body);
        copy
    }

    fn give_back(&mut self, mut body: Vec<u8>) {
        if self.0.len() < POOLED_MAX {
            body.clear();
            self.0.push(body);
        }
    }
}

/// An outcome in memory of its own: a slice of a read buffer would keep the whole buffer alive.
#[derive(Debug)]
enum CachedReply {
    Small(Vec<u8>),
    Other(Outcome),
}

impl CachedReply {
    fn of(outcome: &Outcome, pool: &mut BufferPool) -> CachedReply {
        match outcome {
            Ok(body) if body.len() <= SMALL_BYTES_MAX => CachedReply::Small(pool.copy(body)),
            outcome => CachedReply::Other(detached(outcome)),
        }
    }

    fn bytes(&self, extensions: &Extensions) -> usize {
        match self {
            CachedReply::Small(body) => OUTCOME_OVERHEAD_BYTES + body.len() + extensions.len(),
            CachedReply::Other(outcome) => cached_bytes(outcome, extensions),
        }
    }
}

impl ReplyCache {
    /// Caches an outcome. The oldest ones are evicted if there are too many.
    pub(crate) fn insert(
        &mut self,
        number: CallNumber,
        outcome: &Outcome,
        extensions: &Extensions,
        pool: &mut BufferPool,
    ) {
        self.bytes += cached_bytes(outcome, extensions);
        let reply = CachedReply::of(outcome, pool);
        self.replies.insert(number.0, (reply, extensions.detached()));
        while self.replies.len() > SESSION_OUTCOMES_MAX || self.bytes > SESSION_OUTCOME_BYTES_MAX {
            self.evict_oldest(pool);
        }
    }

    /// Returns the outcome of a call, and the extensions of its reply.
    pub(crate) fn get(&self, number: CallNumber) -> Option<(Outcome, Extensions)> {
        let (reply, extensions) = self.replies.get(number.0)?;
        let outcome = match reply {
            CachedReply::Small(body) => Ok(Bytes::copy_from_slice(body)),
            CachedReply::Other(outcome) => outcome.clone(),
        };
        Some((outcome, extensions.clone()))
    }

    /// Returns whether the outcome of a call is cached.
    pub(crate) fn contains(&self, number: CallNumber) -> bool {
        self.replies.contains(number.0)
    }

    /// Removes the outcomes of all calls below a number.
    pub(crate) fn remove_below(&mut self, below: CallNumber, pool: &mut BufferPool) {
        while let Some((number, _)) = self.replies.first().filter(|&(number, _)| number < below.0) {
            self.remove(number, pool);
        }
    }

    /// Removes the oldest outcome. Returns false if the cache is empty.
    pub(crate) fn evict_oldest(&mut self, pool: &mut BufferPool) -> bool {
        let oldest = self.replies.first().map(|(number, _)| number);
        oldest.into_iter().for_each(|number| self.remove(number, pool));
        oldest.is_some()
    }

    fn remove(&mut self, number: u64, pool: &mut BufferPool) {
        let Some((reply, extensions)) = self.replies.remove(number) else { return };
        self.bytes -= reply.bytes(&extensions);
        if let CachedReply::Small(body) = reply {
            pool.give_back(body);
        }
    }

    /// Returns the number of cached outcomes.
    pub(crate) fn len(&self) -> usize {
        self.replies.len()
    }

    /// Returns the bytes that the cached outcomes are accounted for.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Asserts that bytes are counted, limits kept, and no open call has an outcome.
    pub(crate) fn assert_invariants(&self, is_open: impl Fn(u64) -> bool) {
        let bytes = self.replies.values().map(|(reply, extensions)| reply.bytes(extensions));
        assert_eq!(self.bytes, bytes.sum::<usize>(), "bytes of cached outcomes are counted");
        assert!(self.replies.iter().all(|(number, _)| !is_open(number)), "a call with a cached outcome is not open");
        assert!(
            self.len() <= SESSION_OUTCOMES_MAX && self.bytes <= SESSION_OUTCOME_BYTES_MAX,
            "a reply cache is bounded"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_reused_and_cached_outcomes_do_not_change() {
        let (mut cache, mut pool) = (ReplyCache::default(), BufferPool::default());
        let body = |number: u64| Bytes::from(vec![number as u8; number as usize % (2 * SMALL_BYTES_MAX)]);
        for number in 1..1_000 {
            cache.insert(CallNumber(number), &Ok(body(number)), &Extensions::NONE, &mut pool);
            cache.remove_below(CallNumber(number.saturating_sub(10)), &mut pool);
            let numbers = number.saturating_sub(10).max(1)..=number;
            let cached = numbers.clone().map(|number| cache.get(CallNumber(number)));
            assert!(cached.eq(numbers.map(|number| Some((Ok(body(number)), Extensions::NONE)))));
            cache.assert_invariants(|_| false);
        }
        assert!(pool.0.len() <= 12, "{} for twelve at a time", pool.0.len());
        assert!(pool.0.iter().all(|buffer| buffer.capacity() <= 2 * SMALL_BYTES_MAX));
    }

    #[test]
    fn the_buffer_pool_is_bounded() {
        let (mut cache, mut pool) = (ReplyCache::default(), BufferPool::default());
        let many = 2 * POOLED_MAX as u64;
        for number in 1..=many {
            cache.insert(CallNumber(number), &Ok(Bytes::from_static(&[7])), &Extensions::NONE, &mut pool);
        }
        cache.remove_below(CallNumber(many + 1), &mut pool);
        assert_eq!((cache.len(), cache.bytes(), pool.0.len()), (0, 0, POOLED_MAX));
    }
}
