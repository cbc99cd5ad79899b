//! Operations whose outcomes a program takes in batches, on a thread of its choice.

use std::{
    io::{self, PipeReader, PipeWriter, Read as _, Write as _},
    os::fd::AsRawFd as _,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use pyo3::prelude::*;
use slab::Slab;

use super::operation::{Operation, Outcome, end_of_stream};

/// How often a thread that waits lets Python handle signals.
const SIGNAL_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Operations whose outcomes are delivered by [`process`](Inbox::process): one wake-up of the program for all that are ready. Its file
/// descriptor is readable while outcomes are ready.
#[pyclass(frozen, module = "callboard._native")]
pub(super) struct Inbox {
    ready: Arc<Ready>,
    pending: Mutex<Slab<Pending>>,
    /// The number of the next operation.
    next: AtomicU32,
    /// The number of exceptions that `deliver` functions raised.
    failed: AtomicU64,
    readable: PipeReader,
}

/// An operation and the function that gets its outcome.
struct Pending {
    /// Tells this operation from earlier ones with the same key.
    number: u32,
    operation: Operation,
    waker: Waker,
    deliver: Py<PyAny>,
}

/// The operations that can make progress.
struct Ready {
    state: Mutex<ReadyState>,
    pushed: Condvar,
}

struct ReadyState {
    keys: Vec<usize>,
    writer: PipeWriter,
    /// Whether the pipe holds its byte.
    is_readable: bool,
}

/// The waker of one operation.
struct OperationWaker {
    key: usize,
    ready: Arc<Ready>,
}

impl Ready {
    fn state(&self) -> MutexGuard<'_, ReadyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, key: usize) {
        let mut state = self.state();
        state.keys.push(key);
        if !state.is_readable {
            state.is_readable = state.writer.write_all(&[0]).is_ok();
        }
        drop(state);
        self.pushed.notify_one();
    }
}

impl Wake for OperationWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.push(self.key);
    }
}

impl Inbox {
    /// Adds an operation. `deliver(result, exception)` is called once, by [`process`](Inbox::process). Returns the token for
    /// [`cancel`](Inbox::cancel).
    pub(super) fn add(&self, mut operation: Operation, deliver: Py<PyAny>) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut pending = self.pending();
        let entry = pending.vacant_entry();
        let token = (u64::from(number) << 32) | entry.key() as u64;
        let waker = Waker::from(Arc::new(OperationWaker { key: entry.key(), ready: Arc::clone(&self.ready) }));
        // Under the lock of `pending`, so that `process` finds the operation when its waker was called.
        if let Poll::Ready(outcome) = operation.as_mut().poll(&mut Context::from_waker(&waker)) {
            operation = Box::pin(std::future::ready(outcome));
            waker.wake_by_ref();
        }
        entry.insert(Pending { number, operation, waker, deliver });
        token
    }

    /// Cancels an operation that has not been delivered. Returns whether it was.
    pub(super) fn remove(&self, token: u64) -> bool {
        let (number, key) = ((token >> 32) as u32, (token & u64::from(u32::MAX)) as usize);
        let mut pending = self.pending();
        let removed = match pending.get(key) {
            Some(operation) if operation.number == number => Some(pending.remove(key)),
            _ => None,
        };
        // Unlocked before it is dropped, which cancels the call.
        drop(pending);
        removed.is_some()
    }

    fn pending(&self) -> MutexGuard<'_, Slab<Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the outcomes that are ready, in their order.
    fn take(&self) -> Vec<(Py<PyAny>, Outcome)> {
        let keys = {
            let mut state = self.ready.state();
            if std::mem::take(&mut state.is_readable) {
                // Cannot block: `push` has written the byte.
                let _ = (&self.readable).read_exact(&mut [0]);
            }
            std::mem::take(&mut state.keys)
        };
        let mut pending = self.pending();
        let mut outcomes = Vec::with_capacity(keys.len());
        for key in keys {
            // A waker may be called more than once, also after its operation has ended.
            let Some(Pending { operation, waker, .. }) = pending.get_mut(key) else { continue };
            let waker = waker.clone();
            if let Poll::Ready(outcome) = operation.as_mut().poll(&mut Context::from_waker(&waker)) {
                outcomes.push((pending.remove(key).deliver, outcome));
            }
        }
        outcomes
    }

    fn wait(&self, py: Python<'_>, deadline: Option<Instant>) -> PyResult<()> {
        loop {
            let check_at = Instant::now() + SIGNAL_CHECK_INTERVAL;
            let until = deadline.map_or(check_at, |deadline| deadline.min(check_at));
            if py.detach(|| self.wait_until(until)) || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(());
            }
            py.check_signals()?;
        }
    }

    /// Returns whether outcomes are ready.
    fn wait_until(&self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        let empty = |state: &mut ReadyState| state.keys.is_empty();
        let waited = self.ready.pushed.wait_timeout_while(self.ready.state(), left, empty);
        !waited.unwrap_or_else(PoisonError::into_inner).0.keys.is_empty()
    }
}

#[pymethods]
impl Inbox {
    #[new]
    fn new() -> io::Result<Inbox> {
        let (readable, writer) = io::pipe()?;
        let state = Mutex::new(ReadyState { keys: Vec::new(), writer, is_readable: false });
        let ready = Arc::new(Ready { state, pushed: Condvar::new() });
        Ok(Inbox { ready, pending: Mutex::default(), next: AtomicU32::new(0), failed: AtomicU64::new(0), readable })
    }

    /// Returns the file descriptor that is readable while outcomes are ready. Do not read from it.
    fn fileno(&self) -> i32 {
        self.readable.as_raw_fd()
    }

    /// Delivers the outcomes that are ready, after waiting up to `timeout` seconds for the first (None: without limit). Returns how
    /// many there were. An exception of a `deliver` function is passed to `sys.unraisablehook`.
    #[pyo3(signature = (timeout=Some(0.0)))]
    fn process(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<usize> {
        if timeout != Some(0.0) && !self.pending().is_empty() {
            let deadline = timeout
                .map(|seconds| Instant::now() + Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 4));
            self.wait(py, deadline)?;
        }
        let outcomes = self.take();
        let count = outcomes.len();
        for (deliver, outcome) in outcomes {
            let deliver = deliver.bind(py);
            let delivered = match outcome.into_python(py) {
                Ok(Some(value)) => deliver.call1((value, py.None())),
                Ok(None) => deliver.call1((end_of_stream(py)?, py.None())),
                Err(error) => deliver.call1((py.None(), error.into_value(py))),
            };
            if let Err(error) = delivered {
                self.failed.fetch_add(1, Ordering::Relaxed);
                error.write_unraisable(py, Some(deliver));
            }
        }
        Ok(count)
    }

    /// Waits until outcomes are ready, or `wake` is called, also while no operation is pending.
    #[pyo3(name = "wait")]
    fn wait_for_outcomes(&self, py: Python<'_>) -> PyResult<()> {
        self.wait(py, None)
    }

    /// Cancels an operation. Returns false if its outcome was delivered already.
    fn cancel(&self, token: u64) -> bool {
        self.remove(token)
    }

    /// Wakes a thread that waits in `process`.
    fn wake(&self) {
        self.ready.push(usize::MAX);
    }

    /// The number of `deliver` functions that raised an exception.
    #[getter]
    fn failed_count(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// The number of operations that have no outcome yet.
    #[getter]
    fn pending_count(&self) -> usize {
        self.pending().len()
    }
}
