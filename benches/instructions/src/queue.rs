//! The fair queue of a service.

use std::hint::black_box;

use callboard_core::{
    broker::scheduling::{FairQueue, QueueKey},
    wire::envelope::Priority,
};

/// The bytes of each body.
const BYTES: usize = 64;

/// Adds a call to a queue in which `waiting` calls of `sessions` sessions wait, and takes one out.
pub(crate) fn push_and_pop(waiting: u32, sessions: u64) -> Box<dyn FnMut()> {
    let mut queue = FairQueue::default();
    let push = move |queue: &mut FairQueue<u32>, call: u32| {
        let key = QueueKey { tenant: 1, priority: Priority::Normal, session: u64::from(call) % sessions };
        queue.push(key, 0, call, BYTES);
    };
    (0..waiting).for_each(|call| push(&mut queue, call));
    let mut next = waiting;
    Box::new(move || {
        push(&mut queue, next);
        next += 1;
        black_box(queue.pop_where(|_| true)).expect("calls wait");
    })
}
