//! The tools of an I/O thread: time, batched queues, a runtime of its own and randomness for its machine.

mod batch_queue;
mod budget;
mod clock;
mod random;
mod runtime;
mod timer;
mod yielding;

pub use self::{
    batch_queue::{BatchQueue, WAKEUP_DELAY_MAX},
    budget::TurnBudget,
    clock::Clock,
    random::{new_nonce, new_session_id, random_u32},
    runtime::RuntimeHandoff,
    timer::Timer,
    yielding::yield_to_tasks,
};
