//! The executor: it runs handlers on the program's own runtime, and never on the I/O thread.
//!
//! All jobs of one turn move to that runtime together, and their outcomes come back together. The *dispatcher*, a task of that
//! runtime, spawns the jobs, lets the runtime poll each of them once, and only then wakes the I/O thread. Thus a bundle of quick
//! calls costs two wake-ups across threads, not two for each call. On a single-threaded runtime the dispatcher polls each handler once
//! itself, and spawns only those that are not ready then. If a handler blocks the runtime, the I/O thread checks for outcomes itself
//! after [`WAKEUP_DELAY_MAX`].

mod dispatcher;
mod job;
mod panic;

use std::sync::Arc;

use callboard_core::{
    time::Time,
    wire::method::MethodName,
    worker::{Job, JobId, JobMap},
};
use callboard_transport::{BatchQueue, Clock, Timer, WAKEUP_DELAY_MAX};
use tokio::{runtime::Handle, task::AbortHandle};

pub(crate) use self::panic::capture_backtraces;
use self::{
    dispatcher::{Dispatcher, Handlers},
    job::QueuedJob,
};
use crate::{
    handler::{Context, ErasedHandler, Stopwatch},
    outcome::Completion,
    stream::{StreamChannel, StreamCommand, StreamCommands},
};

/// One in this many jobs of a turn is measured. The broker needs an estimate only.
const MEASURE_INTERVAL: usize = 8;

/// Starts and cancels handlers, and collects their outcomes. It belongs to the I/O thread.
#[derive(Debug)]
pub(crate) struct Executor {
    clock: Clock,
    handlers: Handlers,
    running: JobMap<Context>,
    /// The jobs of this turn.
    prepared: Vec<QueuedJob>,
    jobs: Arc<BatchQueue<QueuedJob>>,
    completions: Arc<BatchQueue<Completion>>,
    stream_commands: Arc<StreamCommands>,
    /// When to check for completions while their wakeups are suppressed.
    check_at: Option<Time>,
    timer: Timer,
    dispatcher: AbortHandle,
}

impl Executor {
    /// Creates an executor, and spawns its dispatcher on this runtime.
    pub(crate) fn new(runtime: &Handle, clock: Clock, handlers: Vec<Vec<(MethodName, ErasedHandler)>>) -> Executor {
        let (jobs, completions) = <(Arc<BatchQueue<QueuedJob>>, Arc<BatchQueue<Completion>>)>::default();
        let handlers = Arc::new(handlers);
        let dispatcher = Dispatcher::new(runtime, Arc::clone(&handlers), Arc::clone(&jobs), Arc::clone(&completions));
        let dispatcher = runtime.spawn(dispatcher.run()).abort_handle();
        let stream_commands = StreamCommands::new(Arc::clone(&completions));
        Executor {
            clock,
            handlers,
            running: JobMap::default(),
            prepared: Vec::new(),
            jobs,
            completions,
            stream_commands,
            check_at: None,
            timer: Timer::new(),
            dispatcher,
        }
    }

    /// Prepares the handler of a job. [`Executor::flush`] starts it.
    pub(crate) fn prepare(&mut self, job: Job) {
        let (method, _) = &self.handlers[job.offer][job.method];
        let deadline = job.deadline.and_then(|deadline| self.clock.instant(deadline));
        let channel = StreamChannel::for_job(&job, &self.stream_commands);
        let context =
            Context::new(job.call, method.clone(), job.caller_name, job.attempt, job.affinity, deadline, channel);
        self.running.insert(job.id, context.clone());
        let completions = Arc::clone(&self.completions);
        let measured = self.prepared.len().is_multiple_of(MEASURE_INTERVAL);
        let stopwatch = if measured { Stopwatch::Ready } else { Stopwatch::Off };
        self.prepared.push(QueuedJob::new(job.id, job.offer, job.method, job.body, context, stopwatch, completions));
    }

    /// Starts the prepared jobs. Until the runtime has polled them, completions do not wake the I/O thread, for at most
    /// [`WAKEUP_DELAY_MAX`].
    pub(crate) fn flush(&mut self) {
        if self.prepared.is_empty() {
            return;
        }
        if self.completions.suppress_wakeups() {
            self.check_at = Some(self.clock.now() + WAKEUP_DELAY_MAX);
        }
        self.jobs.append(&mut self.prepared);
    }

    /// Cancels a job: an async handler is dropped at its next `await`, a blocking handler can check for it.
    pub(crate) fn cancel(&mut self, job: JobId) {
        if let Some(context) = self.running.get(job) {
            context.cancel();
        }
    }

    /// Returns whether the handler of this job has started.
    pub(crate) fn has_started(&self, job: JobId) -> bool {
        self.running.get(job).is_some_and(Context::has_started)
    }

    /// Waits until there may be completions or stream commands.
    ///
    /// Cancel safe: they stay queued until they are taken.
    pub(crate) async fn notified(&mut self) {
        tokio::select! {
            // Both are cancel safe: documented.
            () = self.completions.notified() => {}
            // The runtime is busy with other work: from now on each completion wakes the I/O thread.
            () = self.timer.wait(self.clock, self.check_at) => {
                self.check_at = None;
                self.completions.resume_wakeups();
            }
        }
    }

    /// Takes the completions since the last call.
    pub(crate) fn take_completions(&mut self) -> Vec<Completion> {
        let completions = self.completions.take(Vec::new());
        for completion in &completions {
            if let Some(context) = self.running.remove(completion.job) {
                context.finish();
            }
        }
        completions
    }

    /// Takes the stream commands since the last call. Take them after [`Executor::take_completions`] and handle them before the
    /// completions: then the last item of a handler is handled before its end.
    pub(crate) fn take_stream_commands(&self) -> Vec<StreamCommand> {
        self.stream_commands.take()
    }

    /// Returns the stream channel of a running job.
    pub(crate) fn stream_channel(&self, job: JobId) -> Option<Arc<StreamChannel>> {
        self.running.get(job)?.stream_channel()
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        // This drops the handlers and what they own.
        self.dispatcher.abort();
    }
}

#[cfg(test)]
mod tests;
