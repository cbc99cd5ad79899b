//! The outcomes of one client that it has not acknowledged yet.

use bytes::Bytes;

use super::client::{Outcome, copied, detached, outcome_bytes};
use crate::{
    sequence_map::SequenceMap,
    wire::{
        ids::CallNumber,
        limits::{OUTCOME_BYTES_MAX, OUTCOME_COST, OUTCOMES_MAX},
    },
};

/// A small body is kept in memory that a forgotten one has left. That has room for some hundred bytes; each outcome is counted for more.
const SMALL_BYTES_MAX: usize = OUTCOME_COST / 2;
/// How much of such memory waits to be used again, for all clients: some windows of calls that are answered before they are acknowledged.
const SPARE_MAX: usize = 1024;

/// Outcomes by the numbers of their calls, with the extensions of their replies.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    outcomes: SequenceMap<(Kept, Bytes)>,
    bytes: usize,
}

/// Memory for small bodies, to be used again: to allocate it anew for each costs more than all else that remembering does.
#[derive(Debug, Default)]
pub(super) struct Spare(Vec<Vec<u8>>);

impl Spare {
    fn copy(&mut self, body: &[u8]) -> Vec<u8> {
        let mut copy = self.0.pop().unwrap_or_default();
        copy.extend_from_slice(body);
        copy
    }

    fn give_back(&mut self, mut body: Vec<u8>) {
        if self.0.len() < SPARE_MAX {
            body.clear();
            self.0.push(body);
        }
    }
}

/// An outcome, out of its read buffer, which would live as long as the memory otherwise.
#[derive(Debug)]
enum Kept {
    Small(Vec<u8>),
    Other(Outcome),
}

impl Kept {
    fn of(outcome: &Outcome, spare: &mut Spare) -> Kept {
        match outcome {
            Ok(body) if body.len() <= SMALL_BYTES_MAX => Kept::Small(spare.copy(body)),
            outcome => Kept::Other(detached(outcome)),
        }
    }

    fn bytes(&self, extensions: &Bytes) -> usize {
        match self {
            Kept::Small(body) => OUTCOME_COST + body.len() + extensions.len(),
            Kept::Other(outcome) => outcome_bytes(outcome, extensions),
        }
    }
}

impl Remembered {
    /// Remembers an outcome. The oldest ones make way.
    pub(super) fn insert(&mut self, number: CallNumber, outcome: &Outcome, extensions: &Bytes, spare: &mut Spare) {
        self.bytes += outcome_bytes(outcome, extensions);
        let kept = Kept::of(outcome, spare);
        self.outcomes.insert(number.0, (kept, copied(extensions)));
        while self.outcomes.len() > OUTCOMES_MAX || self.bytes > OUTCOME_BYTES_MAX {
            self.forget_oldest(spare);
        }
    }

    /// The outcome of that number, and the extensions of its reply.
    pub(super) fn get(&self, number: CallNumber) -> Option<(Outcome, Bytes)> {
        let (kept, extensions) = self.outcomes.get(number.0)?;
        let outcome = match kept {
            Kept::Small(body) => Ok(Bytes::copy_from_slice(body)),
            Kept::Other(outcome) => outcome.clone(),
        };
        Some((outcome, extensions.clone()))
    }

    /// Whether there is one of that number.
    pub(super) fn has(&self, number: CallNumber) -> bool {
        self.outcomes.contains(number.0)
    }

    /// Forgets those below a number.
    pub(super) fn forget_below(&mut self, below: CallNumber, spare: &mut Spare) {
        while let Some((number, _)) = self.outcomes.first().filter(|&(number, _)| number < below.0) {
            self.forget(number, spare);
        }
    }

    /// Forgets the oldest. False if there is none.
    pub(super) fn forget_oldest(&mut self, spare: &mut Spare) -> bool {
        let oldest = self.outcomes.first().map(|(number, _)| number);
        oldest.into_iter().for_each(|number| self.forget(number, spare));
        oldest.is_some()
    }

    fn forget(&mut self, number: u64, spare: &mut Spare) {
        let Some((kept, extensions)) = self.outcomes.remove(number) else { return };
        self.bytes -= kept.bytes(&extensions);
        if let Kept::Small(body) = kept {
            spare.give_back(body);
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// What they count together, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn check(&self, is_open: impl Fn(u64) -> bool) {
        let bytes = self.outcomes.values().map(|(kept, extensions)| kept.bytes(extensions));
        assert_eq!(self.bytes, bytes.sum::<usize>(), "outcomes are counted");
        assert!(self.outcomes.iter().all(|(number, _)| !is_open(number)), "what is answered is not open");
        assert!(self.len() <= OUTCOMES_MAX && self.bytes <= OUTCOME_BYTES_MAX, "outcomes are bounded");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_what_is_kept_stays_what_it_was() {
        let (mut remembered, mut spare) = (Remembered::default(), Spare::default());
        let body = |number: u64| Bytes::from(vec![number as u8; number as usize % (2 * SMALL_BYTES_MAX)]);
        for number in 1..1_000 {
            remembered.insert(CallNumber(number), &Ok(body(number)), &Bytes::new(), &mut spare);
            remembered.forget_below(CallNumber(number.saturating_sub(10)), &mut spare);
            let kept = (number.saturating_sub(10).max(1)..=number).map(|number| remembered.get(CallNumber(number)));
            assert!(
                kept.eq(
                    (number.saturating_sub(10).max(1)..=number).map(|number| Some((Ok(body(number)), Bytes::new())))
                )
            );
            remembered.check(|_| false);
        }
        assert!(spare.0.len() <= 12, "{} for twelve at a time", spare.0.len());
        assert!(spare.0.iter().all(|memory| memory.capacity() <= 2 * SMALL_BYTES_MAX));
    }

    #[test]
    fn memory_that_waits_is_bounded() {
        let (mut remembered, mut spare) = (Remembered::default(), Spare::default());
        let many = 2 * SPARE_MAX as u64;
        for number in 1..=many {
            remembered.insert(CallNumber(number), &Ok(Bytes::from_static(&[7])), &Bytes::new(), &mut spare);
        }
        remembered.forget_below(CallNumber(many + 1), &mut spare);
        assert_eq!((remembered.len(), remembered.bytes(), spare.0.len()), (0, 0, SPARE_MAX));
    }
}
