//! Bytes of dispatches that a worker may not have read yet.
//!
//! If the broker sent a worker as many calls as it has slots, whatever their size, large ones would fill the connection until the gate
//! closes it as one whose peer does not read. The protocol needs no acknowledgement for the count: a connection keeps its order, so a
//! worker that sends anything about a dispatch has read that dispatch and all earlier ones. A worker reports a handler that runs longer
//! than 20 ms as started.

use std::collections::VecDeque;

use crate::wire::ids::DispatchNumber;

/// The dispatches that a worker may not have read yet, with the bytes of their bodies: it has sent no message about
/// them or about a later one.
#[derive(Debug, Default)]
pub(crate) struct InFlightBytes {
    dispatches: VecDeque<(DispatchNumber, usize)>,
    bytes: usize,
    /// Whether the limit is reached: then the worker is given no calls until it has read some.
    pub(super) is_full: bool,
}

impl InFlightBytes {
    /// Records a dispatch. Returns whether the limit is now reached for the first time.
    pub(super) fn send(&mut self, number: DispatchNumber, bytes: usize, max: usize) -> bool {
        self.dispatches.push_back((number, bytes));
        self.bytes += bytes;
        !self.is_full && self.bytes >= max
    }

    /// Records that the worker has read a dispatch and all before it. Returns whether it may be given calls again because of that.
    pub(super) fn read_up_to(&mut self, number: DispatchNumber, max: usize) -> bool {
        while let Some((_, bytes)) = self.dispatches.pop_front_if(|(first, _)| *first <= number) {
            self.bytes -= bytes;
        }
        self.is_full && self.bytes < max
    }

    /// Asserts that bytes are counted, and that at most one call exceeds the limit.
    pub(crate) fn assert_invariants(&self, max: usize) {
        let bytes: usize = self.dispatches.iter().map(|&(_, bytes)| bytes).sum();
        assert_eq!(self.bytes, bytes, "bytes in flight are counted");
        assert_eq!(self.is_full, bytes >= max, "a worker at the limit is given no calls");
        let before_last = self.dispatches.back().map_or(0, |&(_, last)| bytes - last);
        assert!(before_last < max.max(1), "at most one call exceeds the limit of bytes in flight");
    }
}
