//! The thread that runs callbacks.

use std::{
    fmt, io, mem,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, ThreadId},
};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::{error::call_error::CallError, shared::capacity::CapacityLimit};

/// Decodes a call's outcome and runs the user's callback with it.
type Run = Box<dyn FnOnce(Result<Bytes, CallError>) + Send>;

/// The callback thread of one client. It runs callbacks one after another, in the order of their outcomes.
///
/// A slow callback delays those behind it and nothing else: the I/O thread only pushes outcomes, and never waits.
#[derive(Debug)]
pub(crate) struct CallbackThread {
    /// Limits the pending callbacks: from `on_complete` until they have run.
    pub(crate) capacity: CapacityLimit,
    ready: Mutex<Ready>,
    /// Notified when a callback is ready, and at the close.
    wake: Condvar,
    thread: OnceLock<ThreadId>,
    ended: Notify,
    run: AtomicU64,
    panicked: AtomicU64,
}

/// Callbacks that have an outcome and have not run. Bounded by [`CallbackThread::capacity`].
#[derive(Debug, Default)]
struct Ready {
    callbacks: Vec<ReadyCallback>,
    closed: bool,
}

/// A callback with its outcome.
pub(crate) struct ReadyCallback {
    run: Run,
    outcome: Result<Bytes, CallError>,
}

/// A callback without an outcome yet. It runs exactly once: if it is dropped without an outcome, which only a bug of
/// this library causes, it runs with an error.
pub(crate) struct PendingCallback {
    run: Option<Run>,
    thread: Arc<CallbackThread>,
}

/// The error of a push to a callback thread that is closed.
#[derive(Debug)]
pub(crate) struct Closed;

impl CallbackThread {
    /// Starts the thread, with a limit of `max` pending callbacks.
    ///
    /// # Errors
    /// If the system provides no thread.
    pub(crate) fn start(max: usize) -> io::Result<Arc<CallbackThread>> {
        let callbacks = Arc::new(CallbackThread {
            capacity: CapacityLimit::new(max),
            ready: Mutex::default(),
            wake: Condvar::new(),
            thread: OnceLock::new(),
            ended: Notify::new(),
            run: AtomicU64::new(0),
            panicked: AtomicU64::new(0),
        });
        let shared = Arc::clone(&callbacks);
        thread::Builder::new().name("callboard-callbacks".to_owned()).spawn(move || shared.run_loop())?;
        Ok(callbacks)
    }

    /// Moves the callbacks of a turn to the thread, with one lock and at most one wake-up for all.
    ///
    /// # Errors
    /// If the thread is closed; `callbacks` is unchanged then.
    pub(crate) fn push(&self, callbacks: &mut Vec<ReadyCallback>) -> Result<(), Closed> {
        if callbacks.is_empty() {
            return Ok(());
        }
        let mut ready = self.ready();
        if ready.closed {
            return Err(Closed);
        }
        ready.callbacks.append(callbacks);
        drop(ready);
        self.wake.notify_one();
        Ok(())
    }

    /// Closes the thread: it ends when the callbacks that are ready have run.
    pub(crate) fn close(&self) {
        self.capacity.close();
        self.ready().closed = true;
        self.wake.notify_one();
    }

    /// Waits until the thread has ended. Only one task may wait.
    pub(crate) async fn ended(&self) {
        self.ended.notified().await;
    }

    /// Returns true on the callback thread itself, where waiting for callbacks would be a deadlock.
    pub(crate) fn is_current_thread(&self) -> bool {
        self.thread.get() == Some(&thread::current().id())
    }

    /// Returns the number of callbacks that ran, and of those that panicked.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.run.load(Ordering::Relaxed), self.panicked.load(Ordering::Relaxed))
    }

    /// Locks the ready callbacks. Nothing that may panic runs under the lock.
    fn ready(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs callbacks until the thread is closed.
    fn run_loop(&self) {
        self.thread.get_or_init(|| thread::current().id());
        let mut callbacks = Vec::new();
        while self.take(&mut callbacks) {
            callbacks.drain(..).for_each(|callback| self.run(callback));
        }
        self.ended.notify_one();
    }

    /// Waits for ready callbacks and takes all of them. Returns false if the thread is closed and none are left.
    fn take(&self, callbacks: &mut Vec<ReadyCallback>) -> bool {
        let waiting = |ready: &mut Ready| ready.callbacks.is_empty() && !ready.closed;
        let mut ready = self.wake.wait_while(self.ready(), waiting).unwrap_or_else(PoisonError::into_inner);
        mem::swap(&mut ready.callbacks, callbacks);
        !callbacks.is_empty()
    }

    fn run(&self, callback: ReadyCallback) {
        // Unwind safe: the callback is consumed, so this thread never sees its state after a panic.
        let ended = panic::catch_unwind(AssertUnwindSafe(|| (callback.run)(callback.outcome)));
        self.run.fetch_add(1, Ordering::Relaxed);
        if ended.is_err() {
            self.panicked.fetch_add(1, Ordering::Relaxed);
            tracing::error!(target: crate::log::TARGET, "a callback panicked; the client and its other callbacks continue");
        }
        self.capacity.release(1);
    }
}

impl PendingCallback {
    /// Creates a callback that holds a permit of the thread's capacity.
    pub(crate) fn new(run: Run, thread: Arc<CallbackThread>) -> PendingCallback {
        PendingCallback { run: Some(run), thread }
    }

    /// Adds the outcome, for [`CallbackThread::push`].
    pub(crate) fn into_ready(mut self, outcome: Result<Bytes, CallError>) -> Option<ReadyCallback> {
        self.run.take().map(|run| ReadyCallback { run, outcome })
    }

    /// Drops the callback of a call that was not made: it does not run, and its permit is released.
    pub(crate) fn withdraw(mut self) {
        self.run = None;
        self.thread.capacity.release(1);
    }
}

impl Drop for PendingCallback {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            let mut callbacks = vec![ReadyCallback { run, outcome: Err(CallError::driver_lost()) }];
            let _ = self.thread.push(&mut callbacks);
        }
    }
}

impl fmt::Debug for ReadyCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadyCallback").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

impl fmt::Debug for PendingCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingCallback").finish_non_exhaustive()
    }
}
