//! One job: its way from the queue through its handler to its completion.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context as TaskContext, Poll, Waker},
};

use bytes::Bytes;
use callboard_core::{
    wire::status::{Code, Executed, Failure},
    worker::JobId,
};
use callboard_transport::BatchQueue;
use futures::FutureExt;

use crate::{
    handler::{AsyncFunction, BlockingFunction, Context, HandlerFuture},
    outcome::{Completion, JobEnd, Outcome},
};

/// A job on its way to a handler.
#[derive(Debug)]
pub(super) struct QueuedJob {
    /// The indexes of its handler.
    pub(super) offer: usize,
    pub(super) method: usize,
    body: Bytes,
    guard: CompletionGuard,
}

impl QueuedJob {
    pub(super) fn new(
        id: JobId,
        offer: usize,
        method: usize,
        body: Bytes,
        context: Context,
        completions: Arc<BatchQueue<Completion>>,
    ) -> QueuedJob {
        let guard = CompletionGuard { job: id, context, outcome: None, completions };
        QueuedJob { offer, method, body, guard }
    }
}

/// Sends the completion of a job when it is dropped. The job's slot must become free even if the task is dropped before it runs.
#[derive(Debug)]
struct CompletionGuard {
    job: JobId,
    context: Context,
    outcome: Option<Outcome>,
    completions: Arc<BatchQueue<Completion>>,
}

impl Drop for CompletionGuard {
    fn drop(&mut self) {
        let stopped = || JobEnd::Stopped { started: self.context.has_started() };
        let end = self.outcome.take().map_or_else(stopped, JobEnd::Finished);
        // The queue is never closed. If its wakeups are suppressed, the dispatcher or the I/O thread resumes them.
        let _ = self.completions.push(Completion { job: self.job, end });
    }
}

/// Runs an async job.
pub(super) async fn run_async(function: Arc<AsyncFunction>, job: QueuedJob) {
    if let Some((future, guard)) = call_function(&*function, job) {
        run_to_completion(future, guard).await;
    }
}

/// Runs an async job up to its first pause on the current task, and continues it as a task of its own. Most handlers do not pause, and a
/// task costs more than all other work of a small call here.
pub(super) fn run_until_pending(function: &AsyncFunction, job: QueuedJob) {
    let Some((mut future, mut guard)) = call_function(function, job) else { return };
    // The task that continues the handler registers its waker when it polls the future.
    let mut no_waker = TaskContext::from_waker(Waker::noop());
    let polled = catch_unwind(AssertUnwindSafe(|| guard.context.enter(|| future.as_mut().poll(&mut no_waker))));
    match polled {
        Ok(Poll::Pending) => drop(tokio::spawn(run_to_completion(future, guard))),
        Ok(Poll::Ready(outcome)) => guard.outcome = Some(outcome),
        Err(panic) => guard.outcome = Some(panic_failure(panic)),
    }
}

/// Runs a blocking job.
pub(super) fn run_blocking(function: &BlockingFunction, job: QueuedJob) {
    let QueuedJob { body, mut guard, .. } = job;
    let context = &guard.context;
    if context.try_start() {
        let outcome = catch_unwind(AssertUnwindSafe(|| context.enter(|| function(context.clone(), &body))));
        guard.outcome = Some(outcome.unwrap_or_else(panic_failure));
    }
}

/// Calls the function that creates the handler's future. Returns `None` if the job is already complete.
fn call_function(function: &AsyncFunction, job: QueuedJob) -> Option<(HandlerFuture, CompletionGuard)> {
    let QueuedJob { body, mut guard, .. } = job;
    // The call can be cancelled before its handler starts.
    if !guard.context.try_start() {
        return None;
    }
    // The function that creates the future is the program's code too, and can panic.
    let context = guard.context.clone();
    match catch_unwind(AssertUnwindSafe(|| guard.context.enter(|| function(context, &body)))) {
        Ok(Ok(future)) => return Some((future, guard)),
        Ok(Err(failure)) => guard.outcome = Some(Err(failure)),
        Err(panic) => guard.outcome = Some(panic_failure(panic)),
    }
    None
}

/// Polls the handler's future to its end.
async fn run_to_completion(future: HandlerFuture, mut guard: CompletionGuard) {
    // There is no outcome if the call is cancelled.
    let outcome = guard.context.unless_cancelled(AssertUnwindSafe(future).catch_unwind()).await;
    guard.outcome = outcome.map(|outcome| outcome.unwrap_or_else(panic_failure));
}

/// Returns the outcome of a handler that panicked. A panic fails only its own call.
fn panic_failure(panic: Box<dyn Any + Send>) -> Outcome {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let message = format!("the handler panicked: {}", text.unwrap_or_else(|| "no panic message".to_owned()));
    tracing::error!("{message}");
    // Dropping the panic payload can panic too.
    let _ = catch_unwind(AssertUnwindSafe(move || drop(panic)));
    Err(Box::new(Failure { type_name: "Panic".into(), ..Failure::new(Code::Internal, Executed::Yes, message) }))
}
