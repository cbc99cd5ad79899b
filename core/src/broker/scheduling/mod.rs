//! Scheduling: which call may wait, and which waiting call is next. The functions here decide, and the coordinator acts
//! on the decision. Which worker gets a call is decided by `coordinator/dispatch.rs` from the candidates in `registry`.
//!
//! A call waits in the queue of its service, in a sub-queue for its method. A call that only one worker may run (the worker of
//! its affinity key, or of its subcall of a broadcast) waits in a sub-queue for that method at that worker: otherwise it would
//! hide calls behind it that other workers could take.

mod admission;
mod drain_rate;
mod queue;
mod round_robin;
mod sub_queue;
mod tenants;

pub use self::queue::{FairQueue, QueueKey, QueueNumber, QueuePosition};
pub(crate) use self::{
    admission::{WaitLimit, explain_no_room, wait_limit_of},
    drain_rate::DrainRate,
    tenants::{TenantName, Tenants},
};
use super::{
    calls::Call,
    keys::{CallKey, WorkerKey},
};

/// The number of sub-queues for each worker that a call may wait for: more than a service has methods.
const SUB_QUEUES_EACH: usize = 1 << 16;
/// The sub-queue of calls whose method no worker has offered yet.
const UNKNOWN_METHOD: usize = usize::MAX;

/// Returns the sub-queue that a call waits in.
pub(crate) fn sub_queue_of(call: &Call) -> usize {
    let Some(method) = call.method_index() else { return UNKNOWN_METHOD };
    method + call.bound_to().map_or(0, first_sub_queue)
}

/// Returns the first sub-queue of calls that only this worker may run. If there have been so many workers that the numbers begin
/// again, two workers share their sub-queues. That costs time but changes no decision.
fn first_sub_queue(WorkerKey(worker): WorkerKey) -> usize {
    let worker = worker % (usize::MAX / SUB_QUEUES_EACH - 1) as u64;
    SUB_QUEUES_EACH * (1 + usize::try_from(worker).expect("a remainder of a usize fits into one"))
}

/// Returns the method whose calls wait in a sub-queue.
pub(crate) fn method_of(sub_queue: usize) -> usize {
    sub_queue % SUB_QUEUES_EACH
}

/// Returns whether a sub-queue has calls that a worker may run, of a method that `fits`. It avoids a search through all waiting
/// calls each time a worker that can run none of them has a free slot.
pub(crate) fn has_call_for(queue: &FairQueue<CallKey>, worker: WorkerKey, fits: impl Fn(usize) -> bool) -> bool {
    let own = first_sub_queue(worker);
    let fits = |sub_queue| fits(method_of(sub_queue));
    queue.has_sub_queue_where(..SUB_QUEUES_EACH, fits)
        || queue.has_sub_queue_where(own..own + SUB_QUEUES_EACH, fits)
        || queue.has_sub_queue_where(UNKNOWN_METHOD.., |_| true)
}

/// Returns whether a worker may run a call: a subcall of a broadcast belongs to one worker, and a call with an affinity key to
/// the worker of its bucket, or to any worker while the bucket has none.
pub(crate) fn may_run_at(call: &Call, worker: WorkerKey) -> bool {
    call.bound_to().is_none_or(|bound| bound == worker)
}
