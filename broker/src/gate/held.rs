//! The bytes that connections make the gate hold.

use std::cell::Cell;

/// What all connections hold together: unsent bytes, and messages that have not come whole.
#[derive(Debug, Default)]
pub(super) struct Held(Cell<usize>);

impl Held {
    pub(super) fn bytes(&self) -> usize {
        self.0.get()
    }

    /// A connection that held `before` holds `after`.
    pub(super) fn change(&self, before: usize, after: usize) {
        self.0.set(self.0.get() - before + after);
    }
}
