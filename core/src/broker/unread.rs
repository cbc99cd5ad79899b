//! What a worker was sent and may not have read yet. A broker that sent all that a worker has slots for, whatever its size, would fill
//! the way to a worker that does nothing wrong, until the gate took it for one that does not read.
//!
//! No word of the protocol is needed for that: a connection keeps its order, so a worker that says something of a dispatch has read
//! that one and all before it. One that runs long says within 20 ms that it has begun.

use std::collections::VecDeque;

use super::{Broker, worker::WorkerKey};
use crate::wire::ids::DispatchNumber;

/// The dispatches that a worker has said nothing of, nor of later ones, with the bytes of their bodies.
#[derive(Debug, Default)]
pub(super) struct Unread {
    dispatches: VecDeque<(DispatchNumber, usize)>,
    bytes: usize,
    /// It is so much that the worker is to read before it is given more.
    pub(super) is_much: bool,
}

impl Unread {
    fn send(&mut self, number: DispatchNumber, bytes: usize) {
        self.dispatches.push_back((number, bytes));
        self.bytes += bytes;
    }

    fn read_up_to(&mut self, number: DispatchNumber) {
        while let Some((_, bytes)) = self.dispatches.pop_front_if(|(first, _)| *first <= number) {
            self.bytes -= bytes;
        }
    }

    /// Asserts what must hold after every step.
    pub(super) fn check(&self, max: usize) {
        let bytes: usize = self.dispatches.iter().map(|&(_, bytes)| bytes).sum();
        assert_eq!(self.bytes, bytes, "what a worker may not have read is counted");
        assert_eq!(self.is_much, bytes >= max, "who has much to read is given no more");
        let before_last = self.dispatches.back().map_or(0, |&(_, last)| bytes - last);
        assert!(before_last < max.max(1), "one call at most goes beyond what a worker may have to read");
    }
}

impl Broker {
    /// A dispatch is about to be sent.
    pub(super) fn count_unread(&mut self, key: WorkerKey, number: DispatchNumber, bytes: usize) {
        let worker = self.workers.get_mut(&key).expect("the caller looked the worker up");
        worker.unread.send(number, bytes);
        if !worker.unread.is_much && worker.unread.bytes >= self.settings.worker_bytes_max {
            self.change_worker(key, |worker| worker.unread.is_much = true);
        }
    }

    /// A worker says something of a dispatch of its own: it has read up to there. Whether it may be given calls for that.
    pub(super) fn has_read(&mut self, key: WorkerKey, number: DispatchNumber) -> bool {
        let worker = self.workers.get_mut(&key).expect("it says something");
        worker.unread.read_up_to(number);
        let enough = worker.unread.is_much && worker.unread.bytes < self.settings.worker_bytes_max;
        if enough {
            self.change_worker(key, |worker| worker.unread.is_much = false);
        }
        enough
    }
}
