//! Where handlers run: on the program's own runtime, never on the link's thread.

use std::{
    any::Any,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use callboard_clients::link::Clock;
use callboard_core::{
    wire::{
        method::MethodName,
        status::{Code, Executed, Failure},
    },
    worker::{Job, JobId},
};
use futures::FutureExt;
use tokio::{
    runtime::Handle,
    sync::Notify,
    task::{AbortHandle, JoinHandle},
};

use crate::{
    answer::Outcome,
    context::Context,
    handler::{Prepared, RunningHandler},
};

/// Starts and stops handlers, and collects what they come to.
#[derive(Debug)]
pub(crate) struct Runner {
    /// The program's runtime.
    runtime: Handle,
    clock: Clock,
    /// Handlers by offer, then method, with the method's full name.
    handlers: Vec<Vec<(MethodName, Prepared)>>,
    running: BTreeMap<JobId, Running>,
    outbox: Arc<Outbox>,
}

/// A handler that runs.
#[derive(Debug)]
struct Running {
    context: Context,
    /// By which an async one is dropped.
    task: Option<AbortHandle>,
}

/// What handlers came to, on its way to the link's thread. Bounded by the slots.
#[derive(Debug, Default)]
struct Outbox {
    ended: Mutex<Vec<Ended>>,
    news: Notify,
}

/// A handler's end: its outcome, or that it was dropped before it had one.
pub(crate) type Ended = (JobId, Option<Outcome>);

impl Runner {
    pub(crate) fn new(runtime: Handle, clock: Clock, handlers: Vec<Vec<(MethodName, Prepared)>>) -> Runner {
        Runner { runtime, clock, handlers, running: BTreeMap::new(), outbox: Arc::default() }
    }

    /// Starts the handler of a job.
    pub(crate) fn run(&mut self, job: Job) {
        let (method, handler) = &self.handlers[job.offer][job.method];
        let deadline = job.deadline.and_then(|deadline| self.clock.instant(deadline));
        let context = Context::new(job.call, method.clone(), job.attempt, deadline);
        let ending = Ending { job: job.id, outcome: None, outbox: Arc::clone(&self.outbox) };
        let (id, own) = (job.id, context.clone());
        let task = match handler {
            Prepared::Async(function) => {
                let function = Arc::clone(function);
                let started = move || function(own, &job.body);
                let task: JoinHandle<()> = self.runtime.spawn(run_async(started, ending));
                Some(task.abort_handle())
            }
            Prepared::Blocking(function) => {
                let function = Arc::clone(function);
                self.runtime.spawn_blocking(move || run_blocking(|| function(own, &job.body), ending));
                None
            }
        };
        self.running.insert(id, Running { context, task });
    }

    /// Nobody waits for this job any more: an async handler is dropped at its next await, a blocking one told.
    pub(crate) fn stop(&mut self, job: JobId) {
        if let Some(running) = self.running.get(&job) {
            running.context.cancel();
            running.task.iter().for_each(AbortHandle::abort);
        }
    }

    /// Waits until a handler has ended.
    ///
    /// Cancel safe: what was not taken is still there.
    pub(crate) async fn news(&self) {
        self.outbox.news.notified().await;
    }

    /// The handlers that have ended since the last time.
    pub(crate) fn take_ended(&mut self) -> Vec<Ended> {
        let ended = std::mem::take(&mut *self.outbox.ended());
        for (job, _) in &ended {
            self.running.remove(job);
        }
        ended
    }
}

impl Outbox {
    /// Handlers' panics are caught before they get here, so a poisoned lock still holds whole values.
    fn ended(&self) -> MutexGuard<'_, Vec<Ended>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the link of a handler's end, however it ends: the slot must come free even if the task is dropped unrun.
struct Ending {
    job: JobId,
    outcome: Option<Outcome>,
    outbox: Arc<Outbox>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let mut ended = self.outbox.ended();
        ended.push((self.job, self.outcome.take()));
        let first = ended.len() == 1;
        drop(ended);
        // One wake-up for all that end before the link's thread looks.
        if first {
            self.outbox.news.notify_one();
        }
    }
}

async fn run_async(start: impl FnOnce() -> Result<RunningHandler, Box<Failure>> + Send, mut ending: Ending) {
    // The function that makes the future is the author's code as well, and may panic.
    let started = catch_unwind(AssertUnwindSafe(start));
    ending.outcome = Some(match started {
        Ok(Ok(running)) => AssertUnwindSafe(running).catch_unwind().await.unwrap_or_else(panicked),
        Ok(Err(failure)) => Err(failure),
        Err(panic) => panicked(panic),
    });
}

fn run_blocking(function: impl FnOnce() -> Outcome, mut ending: Ending) {
    ending.outcome = Some(catch_unwind(AssertUnwindSafe(function)).unwrap_or_else(panicked));
}

/// A panic is a failure of this call, and of nothing else.
fn panicked(panic: Box<dyn Any + Send>) -> Outcome {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let message = format!("the handler panicked: {}", text.unwrap_or_else(|| "without words".to_owned()));
    tracing::error!("{message}");
    // Dropping what was panicked with may panic again.
    let _ = catch_unwind(AssertUnwindSafe(move || drop(panic)));
    Err(Box::new(Failure { type_name: "Panic".into(), ..Failure::new(Code::Internal, Executed::Yes, message) }))
}
