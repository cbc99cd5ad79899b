//! The dispatcher: the task of the program's runtime that starts jobs.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use callboard_core::wire::method::MethodName;
use callboard_transport::BatchQueue;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::job::{QueuedJob, run_async, run_blocking, run_dynamic, run_until_pending};
use crate::{handler::ErasedHandler, outcome::Completion};

/// How long handlers can run one after another on a single-threaded runtime before the dispatcher yields to the program's other tasks.
const BATCH_DURATION_MAX: Duration = Duration::from_millis(2);
/// The dispatcher reads the clock once for this many handlers. A reading costs a fiftieth of a small call.
const CLOCK_CHECK_INTERVAL: usize = 4;

/// The handlers by offer and method, with the full name of each method.
pub(super) type Handlers = Arc<Vec<Vec<(MethodName, ErasedHandler)>>>;

/// The dispatcher's state. If the runtime drops it, all queued jobs end as stopped: their handlers have no runtime to run on.
pub(super) struct Dispatcher {
    handlers: Handlers,
    jobs: Arc<BatchQueue<QueuedJob>>,
    completions: Arc<BatchQueue<Completion>>,
    /// The runtime has no other thread that could run a handler meanwhile.
    single_threaded: bool,
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        drop(self.jobs.close());
        self.completions.resume_wakeups();
    }
}

impl Dispatcher {
    pub(super) fn new(
        runtime: &Handle,
        handlers: Handlers,
        jobs: Arc<BatchQueue<QueuedJob>>,
        completions: Arc<BatchQueue<Completion>>,
    ) -> Dispatcher {
        let single_threaded = runtime.runtime_flavor() == RuntimeFlavor::CurrentThread;
        Dispatcher { handlers, jobs, completions, single_threaded }
    }

    /// Starts jobs as they arrive.
    pub(super) async fn run(self) {
        match self.single_threaded {
            true => self.run_single_threaded().await,
            false => self.run_multi_threaded().await,
        }
    }

    /// Spawns each job. It does not yield between jobs: a handler that blocks a thread of the runtime must not delay the start of the
    /// others.
    async fn run_multi_threaded(self) {
        loop {
            self.jobs.notified().await;
            for job in self.jobs.take(Vec::new()) {
                self.start(job);
            }
            let resume = ResumeWakeups(Arc::clone(&self.completions));
            tokio::spawn(async move {
                // The jobs that were just spawned are polled before this task continues.
                tokio::task::yield_now().await;
                drop(resume);
            });
        }
    }

    /// Runs each job up to its first pause. No other task runs meanwhile, so it yields after each batch, and after
    /// [`BATCH_DURATION_MAX`] of one.
    async fn run_single_threaded(self) {
        loop {
            self.jobs.notified().await;
            let resume = ResumeWakeups(Arc::clone(&self.completions));
            let mut started = Instant::now();
            for (number, job) in self.jobs.take(Vec::new()).into_iter().enumerate() {
                let check = number % CLOCK_CHECK_INTERVAL == CLOCK_CHECK_INTERVAL - 1;
                if check && started.elapsed() >= BATCH_DURATION_MAX {
                    tokio::task::yield_now().await;
                    started = Instant::now();
                }
                self.start(job);
            }
            // The spawned jobs are polled before this task continues, and so is the program's other work: signals, timers, sockets.
            tokio::task::yield_now().await;
            drop(resume);
        }
    }

    fn start(&self, job: QueuedJob) {
        match &self.handlers[job.offer][job.method].1 {
            ErasedHandler::Async(function) if self.single_threaded => {
                // `run_until_pending` catches the handler's own panics. Dropping its future can panic too, and must not end the
                // dispatcher.
                let _ = catch_unwind(AssertUnwindSafe(|| run_until_pending(&**function, job)));
            }
            ErasedHandler::Async(function) => drop(tokio::spawn(run_async(Arc::clone(function), job))),
            ErasedHandler::Dynamic(function) => run_dynamic(&**function, job),
            ErasedHandler::Blocking(function) => {
                let function = Arc::clone(function);
                drop(tokio::task::spawn_blocking(move || run_blocking(&*function, job)));
            }
        }
    }
}

/// Lets completions wake the I/O thread again when it is dropped, also if the task that holds it is dropped.
struct ResumeWakeups(Arc<BatchQueue<Completion>>);

impl Drop for ResumeWakeups {
    fn drop(&mut self) {
        self.0.resume_wakeups();
    }
}
