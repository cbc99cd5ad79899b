//! The bytes that the gate holds for its connections.

use std::cell::Cell;

/// The bytes of all connections together: unsent bytes and incomplete messages.
#[derive(Debug, Default)]
pub(in crate::gate) struct MemoryAccount(Cell<usize>);

impl MemoryAccount {
    pub(in crate::gate) fn bytes(&self) -> usize {
        self.0.get()
    }

    /// Records that a connection that held `before` bytes now holds `after`.
    pub(in crate::gate) fn change(&self, before: usize, after: usize) {
        self.0.set(self.0.get() - before + after);
    }
}
