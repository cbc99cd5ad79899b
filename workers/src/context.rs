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

use callboard_core::wire::{affinity::Affinity, ids::CallId, method::MethodName};
use callboard_transport::{CallScope, ServedCall};
use futures::task::AtomicWaker;
use tokio::task::JoinHandle;

use crate::line::Line;

/// The call that a handler serves: take it as the first parameter, `fn add(context: Context, x: i64, y: i64)`. A cheap clone.
#[derive(Clone, Debug)]
pub struct Context {
    served: Arc<ServedCall<Call>>,
}

#[derive(Debug)]
struct Call {
    id: CallId,
    method: MethodName,
    attempt: u32,
    affinity: Option<Affinity>,
    /// Its streams, if it has any, and whether progress is wanted.
    line: Option<Arc<Line>>,
    /// Its handler was entered.
    begun: AtomicBool,
    /// The task of an async handler.
    task: AtomicWaker,
}

impl Context {
    pub(crate) fn new(
        id: CallId,
        method: MethodName,
        attempt: u32,
        affinity: Option<Affinity>,
        deadline: Option<Instant>,
        line: Option<Arc<Line>>,
    ) -> Context {
        let call =
            Call { id, method, attempt, affinity, line, begun: AtomicBool::new(false), task: AtomicWaker::new() };
        Context { served: Arc::new(ServedCall::new(deadline, call)) }
    }

    /// The call's id, the same at the client and in the broker's log.
    pub fn call_id(&self) -> CallId {
        self.served.data.id
    }

    /// The method that was called, `SERVICE.METHOD`.
    pub fn method(&self) -> &str {
        self.served.data.method.as_str()
    }

    /// Which attempt this is, from 1. Above 1, another worker was lost while it had the call.
    pub fn attempt(&self) -> u32 {
        self.served.data.attempt
    }

    /// The call's affinity key, if its caller gave it one: no other call of that key of the service runs now, and those before it
    /// ran in this process, or in one that is lost or has left.
    pub fn key(&self) -> Option<&str> {
        self.served.data.affinity.as_ref().map(|affinity| affinity.key.as_str())
    }

    /// The fence of the call's key, if it has one. It rises each time that the key gets another worker, and never falls. A worker that
    /// the broker has lost sight of may be alive and still run a handler of the same key, with a lower fence. So what is written to
    /// should be told the fence, keep the highest, and refuse a lower one: for instance
    /// `UPDATE ... WHERE key = ? AND fence <= ?`.
    pub fn fence(&self) -> Option<u64> {
        self.served.data.affinity.as_ref().map(|affinity| affinity.fence)
    }

    /// When the caller stops waiting; `None` if it waits as long as it takes.
    pub fn deadline(&self) -> Option<Instant> {
        self.served.deadline()
    }

    /// Whether nobody waits for the outcome any more: the caller gave up, or its time is up. A blocking handler that takes
    /// long should ask now and then, and return; an async one is dropped at its next await by itself.
    pub fn is_cancelled(&self) -> bool {
        self.served.is_cancelled()
    }

    /// Waits until nobody waits for the outcome any more.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing; it may be asked again.
    pub async fn cancelled(&self) {
        self.served.cancelled().await;
    }

    /// Runs a future as a task of its own that belongs to this call, as the handler does: the calls that it makes have no more time
    /// than is left, and when nobody waits for the outcome any more it is dropped at its next await; then the task's value is
    /// `None`. It may outlive the handler. A plain `tokio::spawn` makes a task that belongs to no call.
    ///
    /// # Panics
    /// Outside a tokio runtime. A blocking handler runs inside of the worker's.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let scope = self.scope();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                // Dropped for good.
                () = scope.cancelled() => None,
                output = scope.run(future) => Some(output),
            }
        })
    }

    /// Runs a part of the handler, which finds its call by where it runs.
    pub(crate) fn enter<T>(&self, part: impl FnOnce() -> T) -> T {
        self.scope().enter(part)
    }

    fn scope(&self) -> CallScope {
        Arc::clone(&self.served).into()
    }

    /// Tells a caller who wants to know how far the handler is: `done` of `total`, in a unit of the handler's choice, with a word for
    /// people. As often as the handler likes: ten times a second the newest is sent, and nothing where nobody asked.
    ///
    /// ```
    /// fn resize(context: callboard_workers::Context, images: Vec<String>) {
    ///     for (done, image) in images.iter().enumerate() {
    ///         context.progress(done as u64, images.len() as u64, image);
    ///     }
    /// }
    /// # let _ = resize;
    /// ```
    pub fn progress(&self, done: u64, total: impl Into<Option<u64>>, message: &str) {
        if let Some(line) = &self.served.data.line {
            line.tell_progress(done, total.into(), message);
        }
    }

    /// The handler has ended. What it spawned may go on, and needs neither its streams nor its task.
    pub(crate) fn end(&self) {
        drop(self.served.data.task.take());
        if let Some(line) = &self.served.data.line {
            line.close();
        }
    }

    pub(crate) fn line(&self) -> Option<Arc<Line>> {
        self.served.data.line.clone()
    }

    /// The handler is entered, unless nobody waits for the outcome any more: then false.
    pub(crate) fn begin(&self) -> bool {
        let wanted = !self.is_cancelled();
        if wanted {
            self.served.data.begun.store(true, Ordering::Release);
        }
        wanted
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.served.data.begun.load(Ordering::Acquire)
    }

    pub(crate) fn cancel(&self) {
        self.served.cancel();
        self.served.data.task.wake();
    }

    /// Runs a handler until it ends or the call is cancelled, which drops it at its next await: then `None`.
    pub(crate) async fn unless_cancelled<F: Future>(&self, handler: F) -> Option<F::Output> {
        let mut handler = pin!(handler);
        poll_fn(|task| {
            self.served.data.task.register(task.waker());
            if self.is_cancelled() {
                return Poll::Ready(None);
            }
            self.enter(|| handler.as_mut().poll(task)).map(Some)
        })
        .await
    }
}
