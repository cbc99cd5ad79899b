//! What a handler may ask about its call.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Instant,
};

use callboard_core::wire::{ids::CallId, method::MethodName};
use futures::task::AtomicWaker;
use tokio::sync::Notify;

/// The call that a handler serves: take it as the first parameter, `fn add(context: Context, x: i64, y: i64)`. A cheap clone.
#[derive(Clone, Debug)]
pub struct Context {
    call: Arc<Call>,
}

#[derive(Debug)]
struct Call {
    id: CallId,
    method: MethodName,
    attempt: u32,
    deadline: Option<Instant>,
    cancelled: AtomicBool,
    /// Who waits in [`Context::cancelled`].
    cancellation: Notify,
    /// The task of an async handler.
    task: AtomicWaker,
}

impl Context {
    pub(crate) fn new(id: CallId, method: MethodName, attempt: u32, deadline: Option<Instant>) -> Context {
        let (cancelled, cancellation, task) = (AtomicBool::new(false), Notify::new(), AtomicWaker::new());
        Context { call: Arc::new(Call { id, method, attempt, deadline, cancelled, cancellation, task }) }
    }

    /// The call's id, the same at the client and in the broker's log.
    pub fn call_id(&self) -> CallId {
        self.call.id
    }

    /// The method that was called, `SERVICE.METHOD`.
    pub fn method(&self) -> &str {
        self.call.method.as_str()
    }

    /// Which attempt this is, from 1. Above 1, another worker was lost while it had the call.
    pub fn attempt(&self) -> u32 {
        self.call.attempt
    }

    /// When the caller stops waiting; `None` if it waits as long as it takes.
    pub fn deadline(&self) -> Option<Instant> {
        self.call.deadline
    }

    /// Whether nobody waits for the outcome any more: the caller gave up, or its time is up. A blocking handler that takes
    /// long should ask now and then, and return; an async one is dropped at its next await by itself.
    pub fn is_cancelled(&self) -> bool {
        self.call.cancelled.load(Ordering::Acquire)
    }

    /// Waits until nobody waits for the outcome any more.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing; it may be asked again.
    pub async fn cancelled(&self) {
        let notified = self.call.cancellation.notified();
        if !self.is_cancelled() {
            notified.await;
        }
    }

    pub(crate) fn cancel(&self) {
        self.call.cancelled.store(true, Ordering::Release);
        self.call.cancellation.notify_waiters();
        self.call.task.wake();
    }

    /// Runs a handler until it ends or the call is cancelled, which drops it at its next await: then `None`.
    pub(crate) async fn unless_cancelled<F: Future>(&self, handler: F) -> Option<F::Output> {
        let mut handler = pin!(handler);
        poll_fn(|task| {
            self.call.task.register(task.waker());
            if self.is_cancelled() {
                return Poll::Ready(None);
            }
            handler.as_mut().poll(task).map(Some)
        })
        .await
    }
}
