//! The offers of a service that have room for a call, the best first.

use std::{cmp::Reverse, collections::BTreeSet};

use super::super::keys::WorkerKey;

/// An offer with room for a call. Candidates are ordered as they are chosen: the one with the fewest running calls per
/// slot first. Of equal ones, the one that ended a call last is first, so that the other workers of a pool stay idle
/// and can be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate {
    /// Running calls per slot, in 65,536ths.
    pub(crate) load: u64,
    /// The number of the offer's last end of a call. It increases with each end of a call at any offer.
    pub(crate) idle: Reverse<u64>,
    pub(crate) worker: WorkerKey,
    pub(crate) offer: usize,
}

/// The candidates of one service. The best one is stored outside the tree: each call removes and inserts it twice, and
/// with a single candidate that does not change the tree.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    best: Option<Candidate>,
    others: BTreeSet<Candidate>,
}

impl Candidates {
    /// Returns all candidates, the best first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.best.iter().chain(&self.others)
    }

    pub(crate) fn insert(&mut self, candidate: Candidate) {
        match self.best {
            Some(best) if best < candidate => drop(self.others.insert(candidate)),
            best => {
                self.others.extend(best.filter(|&best| best != candidate));
                self.best = Some(candidate);
            }
        }
    }

    pub(crate) fn remove(&mut self, candidate: &Candidate) {
        if self.best == Some(*candidate) {
            self.best = self.others.pop_first();
        } else if !self.others.is_empty() {
            self.others.remove(candidate);
        }
    }

    pub(crate) fn contains(&self, candidate: &Candidate) -> bool {
        self.best == Some(*candidate) || self.others.contains(candidate)
    }

    /// Asserts that the best candidate comes first.
    pub(crate) fn assert_invariants(&self) {
        let first = self.others.first();
        let is_best = |first: &Candidate| self.best.is_some_and(|best| best < *first);
        assert!(first.is_none_or(is_best), "the best candidate is kept apart");
    }
}
