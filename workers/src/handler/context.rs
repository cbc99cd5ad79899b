//! The context of a call: its properties, its cancellation and its progress reports.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
    time::Instant,
};

use bytestring::ByteString;
use callboard_core::wire::{affinity::Affinity, ids::CallId, method::MethodName};
use callboard_transport::{CallScope, ServedCall};
use futures::task::AtomicWaker;
use tokio::task::JoinHandle;

use crate::stream::StreamChannel;

/// The context of the call that a handler serves. A function can take it as its first parameter:
/// `fn add(context: Context, x: i64, y: i64)`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    served: Arc<ServedCall<Call>>,
}

#[derive(Debug)]
struct Call {
    id: CallId,
    method: MethodName,
    caller: Option<ByteString>,
    attempt: u32,
    affinity: Option<Affinity>,
    /// Set if the call has streams, or its caller requested progress reports.
    channel: Option<Arc<StreamChannel>>,
    /// Whether the handler has started.
    started: AtomicBool,
    /// The waker of an async handler's task.
    task: AtomicWaker,
}

impl Context {
    pub(crate) fn new(
        id: CallId,
        method: MethodName,
        caller: Option<ByteString>,
        attempt: u32,
        affinity: Option<Affinity>,
        deadline: Option<Instant>,
        channel: Option<Arc<StreamChannel>>,
    ) -> Context {
        let call = Call {
            id,
            method,
            caller,
            attempt,
            affinity,
            channel,
            started: AtomicBool::new(false),
            task: AtomicWaker::new(),
        };
        Context { served: Arc::new(ServedCall::new(deadline, call)) }
    }

    /// Returns the id of the call, which the client and the broker's log use too.
    pub fn call_id(&self) -> CallId {
        self.served.data.id
    }

    /// Returns the full name of the called method, `SERVICE.METHOD`.
    pub fn method(&self) -> &str {
        self.served.data.method.as_str()
    }

    /// Returns the name of the peer that made the call, as the broker authenticated it: the `name` in the broker's peers file, or the `id`
    /// in its key file. `None` if the peer has no name, or the broker requires no authentication.
    pub fn caller(&self) -> Option<&str> {
        self.served.data.caller.as_deref()
    }

    /// Returns the number of this attempt, from 1. A higher number means that the broker lost another worker that had the call.
    pub fn attempt(&self) -> u32 {
        self.served.data.attempt
    }

    /// Returns the affinity key of the call, if its caller set one. No other call with this key runs at this service now. Earlier calls
    /// ran in this process, or in one that has disconnected.
    pub fn key(&self) -> Option<&str> {
        self.served.data.affinity.as_ref().map(|affinity| affinity.key.as_str())
    }

    /// Returns the fencing token of the call's affinity key, if it has one. The token increases each time the key moves to another worker,
    /// and never decreases. A worker that has lost its connection can still run a handler of the same key, with a lower token.
    /// Therefore a data store should keep the highest token it has seen and reject writes with a lower one: for example
    /// `UPDATE ... WHERE key = ? AND token <= ?`.
    pub fn fencing_token(&self) -> Option<u64> {
        self.served.data.affinity.as_ref().map(|affinity| affinity.fence)
    }

    /// Returns when the caller stops waiting; `None` if it has no deadline.
    pub fn deadline(&self) -> Option<Instant> {
        self.served.deadline()
    }

    /// Returns whether the call is cancelled: by its caller, or because the deadline has passed. A long blocking
    /// handler should check this regularly and return. An async handler is dropped at its next `await`.
    pub fn is_cancelled(&self) -> bool {
        self.served.is_cancelled()
    }

    /// Waits until the call is cancelled.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn cancelled(&self) {
        self.served.cancelled().await;
    }

    /// Spawns a task that belongs to this call, like the handler: the calls that it makes inherit the deadline, and when the call is
    /// cancelled, the future is dropped at its next `await` and the task returns `None`. The task can outlive the handler. A task from
    /// plain `tokio::spawn` belongs to no call.
    ///
    /// # Panics
    /// If it is called outside of a tokio runtime. A blocking handler runs inside of the worker's runtime.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let scope = self.scope();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                // Cancel safe: only waits.
                () = scope.cancelled() => None,
                output = scope.run(future) => Some(output),
            }
        })
    }

    /// Runs one part of the handler inside of the call's scope: the calls that it makes on this thread inherit the deadline, and end
    /// when this call is cancelled. Handlers run inside of it already; this is for parts that run elsewhere, such as on another
    /// thread.
    pub fn enter<T>(&self, part: impl FnOnce() -> T) -> T {
        self.scope().enter(part)
    }

    fn scope(&self) -> CallScope {
        Arc::clone(&self.served).into()
    }

    /// Reports progress to the caller, if it requested progress reports: `done` of `total` in a unit of the handler's choice, and a message.
    /// A handler can report at any rate: the worker sends the newest report at most ten times a second.
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
        if let Some(channel) = &self.served.data.channel {
            channel.report_progress(done, total.into(), message);
        }
    }

    /// Releases the streams and the waker after the handler's end. Tasks that it spawned can keep the context.
    pub(crate) fn finish(&self) {
        drop(self.served.data.task.take());
        if let Some(channel) = &self.served.data.channel {
            channel.close();
        }
    }

    pub(crate) fn stream_channel(&self) -> Option<Arc<StreamChannel>> {
        self.served.data.channel.clone()
    }

    /// Marks the handler as started. Returns false, and does nothing, if the call is already cancelled.
    pub(crate) fn try_start(&self) -> bool {
        let active = !self.is_cancelled();
        if active {
            self.served.data.started.store(true, Ordering::Release);
        }
        active
    }

    pub(crate) fn has_started(&self) -> bool {
        self.served.data.started.load(Ordering::Acquire)
    }

    /// Cancels the call and wakes the handler.
    pub(crate) fn cancel(&self) {
        self.served.cancel();
        self.served.data.task.wake();
    }

    /// Sets the waker of the handler, which [`Context::cancel`] wakes.
    pub(crate) fn register_waker(&self, waker: &Waker) {
        self.served.data.task.register(waker);
    }

    /// Runs a handler until it ends. If the call is cancelled, drops the handler at its next `await` and returns `None`.
    pub(crate) async fn unless_cancelled<F: Future>(&self, handler: F) -> Option<F::Output> {
        let mut handler = pin!(handler);
        poll_fn(|task| {
            self.register_waker(task.waker());
            if self.is_cancelled() {
                return Poll::Ready(None);
            }
            self.enter(|| handler.as_mut().poll(task)).map(Some)
        })
        .await
    }
}
