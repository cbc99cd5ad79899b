//! The channels between the handles of a client and its threads.

use std::{
    io,
    sync::{Arc, Mutex, OnceLock},
    thread::{self, ThreadId},
};

use callboard_transport::BatchQueue;

use super::{capacity::CapacityLimit, command::Command, statistics::Statistics};
use crate::completion::callbacks::CallbackThread;

/// The channels between the handles of a client, its I/O thread and its callback thread.
#[derive(Debug)]
pub(crate) struct ThreadChannels {
    /// Limits the calls that wait in the client: from their creation until they are sent or end.
    pub(crate) queue: CapacityLimit,
    /// The commands to the I/O thread. They are bounded: a call has a permit of `queue`; a call is cancelled once, before its caller
    /// has the outcome; a stream sends within its credit; and a client is closed twice at most.
    pub(crate) commands: BatchQueue<Command>,
    pub(crate) callbacks: Arc<CallbackThread>,
    /// Updated by the I/O thread in each turn.
    pub(crate) statistics: Mutex<Statistics>,
    /// The thread of the completion notifier, once its task has run.
    pub(crate) notifier_thread: OnceLock<ThreadId>,
}

impl ThreadChannels {
    /// Creates the channels with limits for queued calls and pending callbacks, and starts the callback thread.
    ///
    /// # Errors
    /// If the system provides no thread.
    pub(crate) fn new(queue_calls_max: usize, callbacks_max: usize) -> io::Result<Arc<ThreadChannels>> {
        Ok(Arc::new(ThreadChannels {
            queue: CapacityLimit::new(queue_calls_max),
            commands: BatchQueue::default(),
            callbacks: CallbackThread::start(callbacks_max)?,
            statistics: Mutex::new(Statistics::default()),
            notifier_thread: OnceLock::new(),
        }))
    }

    /// Returns true on the thread of the completion notifier.
    pub(crate) fn is_notifier_thread(&self) -> bool {
        self.notifier_thread.get().is_some_and(|&notifier| notifier == thread::current().id())
    }
}
