//! How the handler of one job ended, on its way back to the I/O thread.

use std::time::Duration;

use callboard_core::worker::JobId;

use super::Outcome;

/// The end of one job.
#[derive(Debug)]
pub(crate) struct Completion {
    pub(crate) job: JobId,
    pub(crate) end: JobEnd,
    /// How long its handler ran, if that was measured.
    pub(crate) handler_time: Option<Duration>,
}

/// How a handler ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum JobEnd {
    /// The handler returned, failed or panicked.
    Finished(Outcome),
    /// The handler was dropped before it had an outcome.
    Stopped {
        /// Whether it had been started before.
        started: bool,
    },
}
