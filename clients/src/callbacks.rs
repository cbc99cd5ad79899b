//! The thread that callbacks run on.

use std::{
    fmt, io,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, ThreadId},
};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::{call_error::CallError, room::Room};

/// What a callback does with its call's outcome: decodes it, and runs the user's code.
type Run = Box<dyn FnOnce(Result<Bytes, CallError>) + Send>;

/// The callbacks of one client, run one after another, in the order of the outcomes, on a thread of the client's own.
///
/// A slow one delays those behind it and nothing else: the link thread only leaves outcomes here, and never waits.
#[derive(Debug)]
pub(crate) struct Callbacks {
    /// Bounds the callbacks that are pending: from `on_complete` until they ran.
    pub(crate) room: Room,
    ready: Mutex<Ready>,
    /// Something is ready, or nothing will be any more.
    wake: Condvar,
    thread: OnceLock<ThreadId>,
    ended: Notify,
    run: AtomicU64,
    panicked: AtomicU64,
}

/// Outcomes whose callbacks have still to run. Bounded by [`Callbacks::room`].
#[derive(Debug, Default)]
struct Ready {
    jobs: Vec<Job>,
    closed: bool,
}

/// A callback and its outcome.
pub(crate) struct Job {
    run: Run,
    outcome: Result<Bytes, CallError>,
}

/// A callback that waits for its outcome. It runs exactly once: if the outcome never comes, which would be a bug of ours, it is told
/// so when this is dropped.
pub(crate) struct Pending {
    run: Option<Run>,
    callbacks: Arc<Callbacks>,
}

impl Callbacks {
    /// Starts the thread, with room for so many callbacks.
    ///
    /// # Errors
    /// If the system has no thread for it.
    pub(crate) fn start(max: usize) -> io::Result<Arc<Callbacks>> {
        let callbacks = Arc::new(Callbacks {
            room: Room::new(max),
            ready: Mutex::default(),
            wake: Condvar::new(),
            thread: OnceLock::new(),
            ended: Notify::new(),
            run: AtomicU64::new(0),
            panicked: AtomicU64::new(0),
        });
        let shared = Arc::clone(&callbacks);
        thread::Builder::new().name("callboard-callbacks".to_owned()).spawn(move || shared.serve())?;
        Ok(callbacks)
    }

    /// Leaves a turn's outcomes to the thread: one lock and at most one wake-up for all. `jobs` is empty then.
    ///
    /// # Errors
    /// If the thread has nothing to do any more, `jobs` stays as it is.
    pub(crate) fn push(&self, jobs: &mut Vec<Job>) -> Result<(), Closed> {
        if jobs.is_empty() {
            return Ok(());
        }
        let mut ready = self.ready();
        if ready.closed {
            return Err(Closed);
        }
        ready.jobs.append(jobs);
        drop(ready);
        self.wake.notify_one();
        Ok(())
    }

    /// No more callbacks will come: the thread ends when those that are ready have run.
    pub(crate) fn close(&self) {
        self.room.close();
        self.ready().closed = true;
        self.wake.notify_one();
    }

    /// Waits until the thread has ended. To be awaited by one.
    pub(crate) async fn ended(&self) {
        self.ended.notified().await;
    }

    /// Whether this is the thread of the callbacks: whoever waits here for callbacks to end waits for himself.
    pub(crate) fn is_this_thread(&self) -> bool {
        self.thread.get() == Some(&thread::current().id())
    }

    /// How many callbacks ran, and how many of them panicked.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.run.load(Ordering::Relaxed), self.panicked.load(Ordering::Relaxed))
    }

    fn ready(&self) -> MutexGuard<'_, Ready> {
        // Nothing that may panic runs under the lock.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread's whole life.
    fn serve(&self) {
        self.thread.get_or_init(|| thread::current().id());
        let mut jobs = Vec::new();
        while self.take(&mut jobs) {
            jobs.drain(..).for_each(|job| self.run(job));
        }
        self.ended.notify_one();
    }

    /// Waits for outcomes and takes all; false when there will be none any more.
    fn take(&self, jobs: &mut Vec<Job>) -> bool {
        let nothing = |ready: &mut Ready| ready.jobs.is_empty() && !ready.closed;
        let mut ready = self.wake.wait_while(self.ready(), nothing).unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut ready.jobs, jobs);
        !jobs.is_empty()
    }

    fn run(&self, job: Job) {
        // The callback is gone afterwards, whatever it did: nothing of it can be seen half-done by us.
        let ended = panic::catch_unwind(AssertUnwindSafe(|| (job.run)(job.outcome)));
        self.run.fetch_add(1, Ordering::Relaxed);
        if ended.is_err() {
            self.panicked.fetch_add(1, Ordering::Relaxed);
            tracing::error!("a callback panicked; the client and its other callbacks go on");
        }
        self.room.give_back(1);
    }
}

/// The thread of the callbacks has ended, or is about to.
#[derive(Debug)]
pub(crate) struct Closed;

impl Pending {
    /// A callback that was given a place in the room.
    pub(crate) fn new(run: Run, callbacks: Arc<Callbacks>) -> Pending {
        Pending { run: Some(run), callbacks }
    }

    /// The callback with its outcome, for [`Callbacks::push`].
    pub(crate) fn with(mut self, outcome: Result<Bytes, CallError>) -> Option<Job> {
        self.run.take().map(|run| Job { run, outcome })
    }

    /// The call was not made: the callback will not run, and its place is free.
    pub(crate) fn withdraw(mut self) {
        self.run = None;
        self.callbacks.room.give_back(1);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            let mut jobs = vec![Job { run, outcome: Err(CallError::lost()) }];
            let _ = self.callbacks.push(&mut jobs);
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}
