//! The replies of one broadcast.

use bytestring::ByteString;

use super::super::{
    keys::{CallKey, WorkerKey},
    outcome::{self, Outcome},
};
use crate::wire::limits::BROADCAST_REPLY_OVERHEAD_BYTES;

/// The number of workers that an explanation lists by name.
const LISTED_MAX: usize = 8;

/// The replies of a broadcast that have arrived, and the subcalls that are open.
#[derive(Debug)]
pub(crate) struct BroadcastAggregation {
    replies: Vec<(ByteString, WorkerReply)>,
    missing: usize,
    /// The bytes that they take of a message, with room for a short failure of each missing one.
    bytes: usize,
}

/// The reply of one worker.
#[derive(Debug)]
pub(super) enum WorkerReply {
    /// Its subcall is open.
    Pending(CallKey),
    Received(Outcome),
}

/// The identity of a subcall: its broadcast, the index of its reply there, and the worker that runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SubcallId {
    pub(crate) broadcast: CallKey,
    pub(super) index: usize,
    pub(crate) worker: WorkerKey,
}

impl BroadcastAggregation {
    /// Creates the aggregation of a broadcast to these workers, each with its subcall.
    pub(super) fn new(subcalls: Vec<(ByteString, CallKey)>) -> BroadcastAggregation {
        let missing = subcalls.len();
        let replies = subcalls.into_iter().map(|(worker, subcall)| (worker, WorkerReply::Pending(subcall)));
        BroadcastAggregation { replies: replies.collect(), missing, bytes: missing * BROADCAST_REPLY_OVERHEAD_BYTES }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Stores a reply that takes so many bytes. Returns the subcall that it was missing for.
    pub(super) fn store(&mut self, index: usize, outcome: Outcome, bytes: usize) -> Option<CallKey> {
        self.bytes += bytes;
        self.missing -= 1;
        match std::mem::replace(&mut self.replies[index].1, WorkerReply::Received(outcome)) {
            WorkerReply::Pending(subcall) => Some(subcall),
            WorkerReply::Received(_) => None,
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.missing == 0
    }

    pub(super) fn into_replies(self) -> Vec<(ByteString, WorkerReply)> {
        self.replies
    }

    fn pending(&self) -> impl Iterator<Item = (&ByteString, CallKey)> {
        self.replies.iter().filter_map(|(worker, reply)| match reply {
            WorkerReply::Pending(subcall) => Some((worker, *subcall)),
            WorkerReply::Received(_) => None,
        })
    }

    /// Returns whether the reply of a subcall is pending.
    pub(super) fn awaits(&self, of: SubcallId, subcall: CallKey) -> bool {
        matches!(self.replies[of.index].1, WorkerReply::Pending(open) if open == subcall)
    }

    /// Returns a sentence about the workers that it waits for. `is_waiting` returns whether a subcall is not at its worker yet.
    pub(crate) fn explain(&self, is_waiting: impl Fn(CallKey) -> bool) -> String {
        let name = |(worker, subcall): (&ByteString, CallKey)| {
            let slot = if is_waiting(subcall) { " (not started)" } else { "" };
            format!("{worker}{slot}")
        };
        let mut names: Vec<_> = self.pending().take(LISTED_MAX).map(name).collect();
        if self.missing > names.len() {
            names.push(format!("{} more", self.missing - names.len()));
        }
        let (all, names) = (self.replies.len(), names.join(", "));
        format!("{} of {all} workers have replied; it waits for {names}", all - self.missing)
    }

    /// Asserts that it is incomplete, and that replies and bytes are counted.
    pub(super) fn assert_invariants(&self) {
        assert!(self.missing > 0, "a broadcast with all replies has ended");
        assert_eq!(self.pending().count(), self.missing, "missing replies are counted");
        let size = |(_, reply): &(ByteString, WorkerReply)| match reply {
            WorkerReply::Pending(_) => 0,
            WorkerReply::Received(outcome) => outcome::size_of(outcome),
        };
        let bytes: usize = self.replies.iter().map(|reply| BROADCAST_REPLY_OVERHEAD_BYTES + size(reply)).sum();
        assert!(self.bytes <= bytes, "bytes of replies are counted");
    }
}
