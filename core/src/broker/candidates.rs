//! Offers with room for a call, the best first.

use std::{cmp::Reverse, collections::BTreeSet};

use super::worker::WorkerKey;

/// An offer with a free slot. The order is who is served first: the fewest running calls a slot; of equals the one that
/// was idle most recently, so that a pool's tail stays idle and can leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    /// Running calls a slot, in 65,536ths.
    pub(super) load: u64,
    /// Counts up each time an offer ends a call.
    pub(super) idle: Reverse<u64>,
    pub(super) worker: WorkerKey,
    pub(super) offer: usize,
}

/// Those of one service. The best is at hand, for each call takes it out and puts it back twice: where there is but one, no tree is
/// touched.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    best: Option<Candidate>,
    others: BTreeSet<Candidate>,
}

impl Candidates {
    /// All of them, the best first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.best.iter().chain(&self.others)
    }

    pub(super) fn insert(&mut self, candidate: Candidate) {
        match self.best {
            Some(best) if best < candidate => drop(self.others.insert(candidate)),
            best => {
                self.others.extend(best.filter(|&best| best != candidate));
                self.best = Some(candidate);
            }
        }
    }

    pub(super) fn remove(&mut self, candidate: &Candidate) {
        if self.best == Some(*candidate) {
            self.best = self.others.pop_first();
        } else if !self.others.is_empty() {
            self.others.remove(candidate);
        }
    }

    pub(super) fn contains(&self, candidate: &Candidate) -> bool {
        self.best == Some(*candidate) || self.others.contains(candidate)
    }

    /// Asserts what must hold after every step.
    pub(super) fn check(&self) {
        assert!(
            self.others.first().is_none_or(|first| self.best.is_some_and(|best| best < *first)),
            "the best is first"
        );
    }
}
