//! A call that was made, whose outcome a program takes later.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use pyo3::{exceptions::PyTimeoutError, prelude::*};

use super::{
    inbox::Inbox,
    operation::{Operation, Outcome},
};
use crate::wait;

/// A call that was made. Any number of threads may wait for its outcome. Dropping it cancels the call.
#[pyclass(frozen, module = "callboard._native")]
pub(super) struct PendingCall(Mutex<Shared>);

struct Shared {
    state: State,
    /// The threads that wait. The operation keeps only the waker of the last poll.
    waiters: Vec<Waker>,
}

enum State {
    Running(Operation),
    Ready(Outcome),
    Value(Py<PyAny>),
    Failed(Py<PyAny>),
    /// This inbox delivers the outcome.
    Delivered {
        inbox: Py<Inbox>,
        token: u64,
    },
    /// The call is cancelled.
    Cancelled,
}

impl PendingCall {
    /// Makes the call: polls its operation once.
    pub(super) fn start(mut operation: Operation) -> PendingCall {
        let state = match operation.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => State::Ready(outcome),
            Poll::Pending => State::Running(operation),
        };
        PendingCall(Mutex::new(Shared { state, waiters: Vec::new() }))
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls for the outcome on behalf of one of the waiting threads.
    fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut shared = self.shared();
        let State::Running(operation) = &mut shared.state else { return Poll::Ready(()) };
        match operation.as_mut().poll(context) {
            Poll::Ready(outcome) => {
                shared.state = State::Ready(outcome);
                wake_all(shared);
                Poll::Ready(())
            }
            Poll::Pending => {
                if !shared.waiters.iter().any(|waiter| waiter.will_wake(context.waker())) {
                    shared.waiters.push(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// Waits for the outcome. Returns false at the deadline.
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let deadline = timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok());
        let deadline = deadline.map(|left| Instant::now() + left);
        let waited = wait::block_on_until(py, std::future::poll_fn(|context| self.poll(context)), deadline);
        if !matches!(waited, Ok(Some(()))) {
            // The operation may wake only this thread, which waits no longer: another one must poll it.
            wake_all(self.shared());
        }
        Ok(waited?.is_some())
    }

    /// Converts the outcome to Python objects, once.
    fn convert(&self, py: Python<'_>) {
        let outcome = {
            let mut shared = self.shared();
            match std::mem::replace(&mut shared.state, State::Cancelled) {
                State::Ready(outcome) => outcome,
                state => return shared.state = state,
            }
        };
        let state = match outcome.into_python(py) {
            Ok(value) => State::Value(value.unwrap_or_else(|| py.None())),
            Err(error) => State::Failed(error.into_value(py).into_any()),
        };
        self.shared().state = state;
    }
}

#[pymethods]
impl PendingCall {
    /// Waits for the outcome, for at most `timeout` seconds. Returns the result.
    ///
    /// Raises the exception of the call, or TimeoutError.
    #[pyo3(signature = (timeout=None))]
    fn result(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        if !self.wait(py, timeout)? {
            return Err(PyTimeoutError::new_err("the call has no outcome yet"));
        }
        self.convert(py);
        match &self.shared().state {
            State::Value(value) => Ok(value.clone_ref(py)),
            State::Failed(error) => Err(PyErr::from_value(error.bind(py).clone())),
            _ => Err(crate::error::named(py, "Cancelled", "the call was cancelled".to_owned())),
        }
    }

    /// Returns whether the call has an outcome. Does not wait.
    fn done(&self) -> bool {
        // Does not register: `Waker::noop` would replace the waker of a thread that waits, so those threads poll again.
        let polled = self.poll(&mut Context::from_waker(Waker::noop()));
        let mut shared = self.shared();
        shared.waiters.retain(|waiter| !waiter.will_wake(Waker::noop()));
        if polled.is_pending() && !shared.waiters.is_empty() {
            wake_all(shared);
        }
        polled.is_ready()
    }

    /// Cancels the call if it has no outcome. Returns whether it had none.
    fn cancel(&self) -> bool {
        let mut shared = self.shared();
        match std::mem::replace(&mut shared.state, State::Cancelled) {
            State::Running(operation) => {
                wake_all(shared);
                drop(operation);
                true
            }
            State::Delivered { inbox, token } => {
                drop(shared);
                inbox.get().remove(token)
            }
            state => {
                shared.state = state;
                false
            }
        }
    }

    /// Lets `inbox` call `deliver(result, exception)` with the outcome. Threads that wait here for it continue then.
    fn deliver_to(&self, inbox: &Bound<'_, Inbox>, deliver: Py<PyAny>) {
        let mut shared = self.shared();
        let operation: Operation = match std::mem::replace(&mut shared.state, State::Cancelled) {
            State::Running(operation) => operation,
            State::Ready(outcome) => Box::pin(std::future::ready(outcome)),
            state => return shared.state = state,
        };
        let token = inbox.get().add(operation, deliver);
        shared.state = State::Delivered { inbox: inbox.clone().unbind(), token };
        wake_all(shared);
    }
}

fn wake_all(mut shared: MutexGuard<'_, Shared>) {
    let waiters = std::mem::take(&mut shared.waiters);
    drop(shared);
    waiters.into_iter().for_each(Waker::wake);
}
