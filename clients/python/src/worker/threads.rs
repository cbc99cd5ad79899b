//! The queue of the threads that run plain functions.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use callboard_workers::DynamicCall;
use pyo3::prelude::*;

use super::handler::{Handler, Shared};

/// The calls that wait for a thread. Python starts the threads, so that each is a thread of the `threading` module with its own
/// thread-local data.
#[pyclass(module = "callboard._native", frozen)]
pub(crate) struct ThreadQueue {
    pub(super) calls: Arc<ThreadCalls>,
}

#[derive(Default)]
pub(super) struct ThreadCalls {
    state: Mutex<State>,
    ready: Condvar,
}

/// The slots of the services bound the queue.
#[derive(Default)]
struct State {
    calls: VecDeque<ThreadCall>,
    closed: bool,
}

struct ThreadCall {
    handler: Arc<Handler>,
    call: DynamicCall,
    shared: Arc<Shared>,
}

#[pymethods]
impl ThreadQueue {
    #[new]
    fn new() -> ThreadQueue {
        ThreadQueue { calls: Arc::default() }
    }

    /// Runs calls on this thread until the queue is closed.
    fn run(&self, py: Python<'_>) {
        while let Some(ThreadCall { handler, call, shared }) = py.detach(|| self.calls.next()) {
            // A panic ends its own call only: dropping the call sends the failure.
            let _ = catch_unwind(AssertUnwindSafe(|| handler.serve(py, call, &shared)));
        }
    }

    /// Ends the threads when they have run the calls of the queue.
    fn close(&self) {
        self.calls.state().closed = true;
        self.calls.ready.notify_all();
    }
}

impl ThreadCalls {
    pub(super) fn push(&self, handler: Arc<Handler>, call: DynamicCall, shared: Arc<Shared>) {
        self.state().calls.push_back(ThreadCall { handler, call, shared });
        self.ready.notify_one();
    }

    /// Waits for the next call; `None` if the queue is closed and empty.
    fn next(&self) -> Option<ThreadCall> {
        let mut state = self.state();
        while state.calls.is_empty() && !state.closed {
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.calls.pop_front()
    }

    /// Locks the state. No code panics while it holds the lock, so the state is consistent even if the lock is poisoned.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
