//! The guard of a job: it sends the job's completion.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use callboard_core::worker::JobId;
use callboard_transport::BatchQueue;

use super::context::Context;
use crate::outcome::{Completion, JobEnd, Outcome};

/// Sends the completion of a job when it is dropped. The job's slot must become free even if the task is dropped before it runs.
#[derive(Debug)]
pub(crate) struct CompletionGuard {
    pub(crate) job: JobId,
    pub(crate) context: Context,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) stopwatch: Stopwatch,
    pub(crate) completions: Arc<BatchQueue<Completion>>,
}

impl Drop for CompletionGuard {
    fn drop(&mut self) {
        let stopped = || JobEnd::Stopped { started: self.context.has_started() };
        let end = self.outcome.take().map_or_else(stopped, JobEnd::Finished);
        // The queue is never closed. If its wakeups are suppressed, the dispatcher or the I/O thread resumes them.
        let _ = self.completions.push(Completion { job: self.job, end, handler_time: self.stopwatch.elapsed() });
    }
}

/// Measures how long a handler runs. Reading the clock costs a fiftieth of a small call, so only some calls are measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stopwatch {
    /// The call is not measured.
    Off,
    /// The handler has not started.
    Ready,
    /// When the handler started.
    Running(Instant),
}

impl Stopwatch {
    /// Begins to measure, unless it is off.
    pub(crate) fn start(&mut self) {
        if let Stopwatch::Ready = self {
            *self = Stopwatch::Running(Instant::now());
        }
    }

    fn elapsed(self) -> Option<Duration> {
        match self {
            Stopwatch::Running(since) => Some(since.elapsed()),
            Stopwatch::Off | Stopwatch::Ready => None,
        }
    }
}
