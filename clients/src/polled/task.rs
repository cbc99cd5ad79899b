//! Futures that run in the program's polls.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::inbox::{Inbox, InboxEntry};

/// A future that runs when the program polls. Not `Send`: it stays on the program's thread.
pub(super) struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    waker: Arc<TaskWaker>,
}

/// The waker of a task: pushes the task into the inbox, once until it runs.
pub(super) struct TaskWaker {
    inbox: Arc<Inbox>,
    key: usize,
    is_queued: AtomicBool,
}

impl TaskWaker {
    pub(super) fn new(inbox: &Arc<Inbox>, key: usize) -> Arc<TaskWaker> {
        Arc::new(TaskWaker { inbox: Arc::clone(inbox), key, is_queued: AtomicBool::new(false) })
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            self.inbox.push(InboxEntry::Task(self.key));
        }
    }
}

impl Task {
    pub(super) fn new(future: impl Future<Output = ()> + 'static, waker: Arc<TaskWaker>) -> Task {
        Task { future: Box::pin(future), waker }
    }

    /// Polls the future. A wake-up from now on queues the task again.
    pub(super) fn poll(&mut self) -> Poll<()> {
        self.waker.is_queued.store(false, Ordering::Release);
        let waker = Waker::from(Arc::clone(&self.waker));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// Queues the task.
    pub(super) fn wake(&self) {
        Arc::clone(&self.waker).wake();
    }
}
