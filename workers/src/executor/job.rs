//! One job: its way from the queue through its handler to its completion.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context as TaskContext, Poll, Waker},
};

use bytes::Bytes;
use callboard_core::worker::JobId;
use callboard_transport::BatchQueue;
use futures::FutureExt;

use super::panic;
use crate::{
    handler::{
        AsyncFunction, BlockingFunction, CompletionGuard, Context, DynamicCall, DynamicFunction, HandlerFuture,
        Stopwatch,
    },
    outcome::Completion,
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
        stopwatch: Stopwatch,
        completions: Arc<BatchQueue<Completion>>,
    ) -> QueuedJob {
        let guard = CompletionGuard { job: id, context, outcome: None, stopwatch, completions };
        QueuedJob { offer, method, body, guard }
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
        Err(panic) => guard.outcome = Some(panic::caught(panic, &guard.context)),
    }
}

/// Runs a blocking job.
pub(super) fn run_blocking(function: &BlockingFunction, job: QueuedJob) {
    let QueuedJob { body, mut guard, .. } = job;
    if guard.context.try_start() {
        guard.stopwatch.start();
        let context = &guard.context;
        let outcome = catch_unwind(AssertUnwindSafe(|| context.enter(|| function(context.clone(), &body))));
        guard.outcome = Some(outcome.unwrap_or_else(|panic| panic::caught(panic, context)));
    }
}

/// Gives a call to the function of a dynamic method.
pub(super) fn run_dynamic(function: &DynamicFunction, job: QueuedJob) {
    let QueuedJob { body, guard, .. } = job;
    let context = guard.context.clone();
    if !context.try_start() {
        return;
    }
    let call = DynamicCall::new(body, guard);
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| context.enter(|| function(call)))) {
        // The call ended when the panic dropped it, or has been moved to another thread.
        drop(panic::caught(panic, &context));
    }
}

/// Calls the function that creates the handler's future. Returns `None` if the job is already complete.
fn call_function(function: &AsyncFunction, job: QueuedJob) -> Option<(HandlerFuture, CompletionGuard)> {
    let QueuedJob { body, mut guard, .. } = job;
    // The call can be cancelled before its handler starts.
    if !guard.context.try_start() {
        return None;
    }
    guard.stopwatch.start();
    // The function that creates the future is the program's code too, and can panic.
    let context = guard.context.clone();
    match catch_unwind(AssertUnwindSafe(|| guard.context.enter(|| function(context, &body)))) {
        Ok(Ok(future)) => return Some((future, guard)),
        Ok(Err(failure)) => guard.outcome = Some(Err(failure)),
        Err(panic) => guard.outcome = Some(panic::caught(panic, &guard.context)),
    }
    None
}

/// Polls the handler's future to its end.
async fn run_to_completion(future: HandlerFuture, mut guard: CompletionGuard) {
    // There is no outcome if the call is cancelled.
    let outcome = guard.context.unless_cancelled(AssertUnwindSafe(future).catch_unwind()).await;
    guard.outcome = outcome.map(|outcome| outcome.unwrap_or_else(|panic| panic::caught(panic, &guard.context)));
}
