//! How much a driver takes in one turn.

use bytes::Bytes;
use callboard_core::wire::limits::{TURN_BYTES_MAX, TURN_ENVELOPES_MAX};

/// What is left of one turn. The driver that uses it up flushes and yields before it takes more, so that others get to run.
#[derive(Debug)]
pub struct Budget {
    envelopes: usize,
    bytes: usize,
}

impl Budget {
    /// A whole turn's.
    pub fn new() -> Budget {
        Budget { envelopes: TURN_ENVELOPES_MAX, bytes: TURN_BYTES_MAX }
    }

    /// Counts a message that came. Its envelopes are not known before it is read: `envelopes` is how many actions it led to, or
    /// any such measure of the work.
    pub fn spend(&mut self, frames: &[Bytes], envelopes: usize) {
        self.envelopes = self.envelopes.saturating_sub(envelopes.max(1));
        self.bytes = self.bytes.saturating_sub(frames.iter().map(Bytes::len).sum());
    }

    /// Whether nothing is left.
    pub fn is_spent(&self) -> bool {
        self.envelopes == 0 || self.bytes == 0
    }
}

impl Default for Budget {
    fn default() -> Self {
        Budget::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_by_envelopes_or_by_bytes() {
        let mut budget = Budget::new();
        for _ in 0..TURN_ENVELOPES_MAX {
            assert!(!budget.is_spent());
            budget.spend(&[], 0);
        }
        assert!(budget.is_spent());

        let mut budget = Budget::new();
        budget.spend(&[Bytes::from(vec![0; TURN_BYTES_MAX])], 1);
        assert!(budget.is_spent());
    }
}
