//! The limit of the work that a driver does in one turn.

use bytes::Bytes;
use callboard_core::wire::limits::{TURN_BYTES_MAX, TURN_ENVELOPES_MAX};

/// The envelopes and bytes that a driver may still read in one turn.
///
/// A driver that exhausts its budget flushes and yields before it reads more, so that other tasks run.
#[derive(Debug)]
pub struct TurnBudget {
    envelopes: usize,
    bytes: usize,
}

impl TurnBudget {
    /// Creates the budget of a whole turn.
    pub fn new() -> TurnBudget {
        TurnBudget { envelopes: TURN_ENVELOPES_MAX, bytes: TURN_BYTES_MAX }
    }

    /// Subtracts a received message. The number of its envelopes is unknown until it is decoded, so `envelopes` is the number of
    /// actions that it led to, or a similar measure of the work.
    pub fn spend(&mut self, frames: &[Bytes], envelopes: usize) {
        self.envelopes = self.envelopes.saturating_sub(envelopes.max(1));
        self.bytes = self.bytes.saturating_sub(frames.iter().map(Bytes::len).sum());
    }

    /// Returns true if no envelopes or no bytes are left.
    pub fn is_spent(&self) -> bool {
        self.envelopes == 0 || self.bytes == 0
    }
}

impl Default for TurnBudget {
    fn default() -> Self {
        TurnBudget::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_by_envelopes_or_by_bytes() {
        let mut budget = TurnBudget::new();
        for _ in 0..TURN_ENVELOPES_MAX {
            assert!(!budget.is_spent());
            budget.spend(&[], 0);
        }
        assert!(budget.is_spent());

        let mut budget = TurnBudget::new();
        budget.spend(&[Bytes::from(vec![0; TURN_BYTES_MAX])], 1);
        assert!(budget.is_spent());
    }
}
