//! Methods that are known only at run time, such as those of a language binding.

use std::{fmt, future::poll_fn, sync::Arc, task::Waker, thread};

use bytes::Bytes;
use callboard_core::wire::{envelope::Effect, status::Code, streams::Style};

use super::{completion_guard::CompletionGuard, context::Context};
use crate::{
    outcome::{Error, Outcome, panic_failure},
    stream::{Received, check_item},
};

/// A method whose name, arguments, effect and streams are known only at run time. [`Service::dynamic`](crate::Service::dynamic) adds it.
///
/// Its function gets each call as a [`DynamicCall`], with the arguments as they arrived. It can finish the call at once, or move it to
/// another thread that finishes it later. It runs on the runtime of the worker, and must not block it: it delays other calls. A program
/// whose calls run one after another can block the runtime deliberately: with a single-threaded runtime, the calls run on the thread
/// that runs the worker.
///
/// ```
/// use std::thread;
///
/// use callboard_core::{body, wire::{envelope::Effect, streams::Style}};
/// use callboard_workers::{Code, DynamicMethod, Error, IntoOutcome, Service};
///
/// let double = DynamicMethod::new("double", Effect::Read, vec!["x".to_owned()], Style::Unary, |call| {
///     thread::spawn(move || {
///         let arguments = body::decode::<(i64,)>(call.arguments());
///         let invalid = |error| Error::new(Code::InvalidArgument, format!("{error}"));
///         call.finish(arguments.map(|(x,)| 2 * x).map_err(invalid).into_outcome());
///     });
/// });
/// let service = Service::new("calculator").dynamic(double);
/// # drop(service);
/// ```
#[derive(Clone)]
pub struct DynamicMethod {
    /// The name.
    pub name: String,
    /// The side effects.
    pub effect: Effect,
    /// The names of the arguments.
    pub arguments: Vec<String>,
    /// The streams.
    pub style: Style,
    pub(crate) function: Arc<DynamicFunction>,
}

/// A function that takes the calls of a dynamic method.
#[doc(hidden)]
pub type DynamicFunction = dyn Fn(DynamicCall) + Send + Sync;

impl DynamicMethod {
    /// Creates a method.
    pub fn new(
        name: impl Into<String>,
        effect: Effect,
        arguments: Vec<String>,
        style: Style,
        function: impl Fn(DynamicCall) + Send + Sync + 'static,
    ) -> DynamicMethod {
        DynamicMethod { name: name.into(), effect, arguments, style, function: Arc::new(function) }
    }
}

impl fmt::Debug for DynamicMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamicMethod").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One call of a [`DynamicMethod`]. [`DynamicCall::finish`] ends it. If it is dropped instead, the caller gets an error with the note
/// that the call may have run.
pub struct DynamicCall {
    body: Bytes,
    guard: CompletionGuard,
}

/// The encoded items of a [`DynamicCall`], in both directions. It can outlive the call.
#[derive(Clone, Debug)]
pub struct DynamicStreams {
    context: Context,
}

impl DynamicCall {
    pub(crate) fn new(body: Bytes, guard: CompletionGuard) -> DynamicCall {
        DynamicCall { body, guard }
    }

    /// Returns the encoded arguments: an array, or a map of names and positions.
    pub fn arguments(&self) -> &Bytes {
        &self.body
    }

    /// Returns the context of the call.
    pub fn context(&self) -> &Context {
        &self.guard.context
    }

    /// Returns the streams of the call.
    pub fn streams(&self) -> DynamicStreams {
        DynamicStreams { context: self.context().clone() }
    }

    /// Sets the waker of the call's cancellation, which replaces the previous one. If the call is already cancelled, wakes it at once.
    pub fn wake_on_cancel(&self, waker: &Waker) {
        self.context().register_waker(waker);
        if self.context().is_cancelled() {
            waker.wake_by_ref();
        }
    }

    /// Ends the call.
    pub fn finish(mut self, outcome: Outcome) {
        self.guard.outcome = Some(outcome);
    }
}

impl Drop for DynamicCall {
    /// A panic of the function that has the call ends the call as INTERNAL.
    fn drop(&mut self) {
        if self.guard.outcome.is_none() && thread::panicking() {
            self.guard.outcome = Some(Err(panic_failure("see the log of the worker")));
        }
    }
}

impl DynamicStreams {
    /// Receives the next encoded item from the caller, if the style has them; `None` after the last one.
    ///
    /// # Errors
    /// CANCELLED if the call is cancelled.
    ///
    /// # Cancel safety
    /// Cancel safe: no item is lost.
    pub async fn receive_item(&self) -> Result<Option<Bytes>, Error> {
        let Some(channel) = self.context.stream_channel() else { return Ok(None) };
        let received = poll_fn(|task| channel.poll_next_item(task));
        match self.unless_cancelled(received).await? {
            Received::Items(item) => {
                channel.record_consumed(item.credit());
                Ok(Some(item.body().clone()))
            }
            Received::End => Ok(None),
            Received::Closed => Err(cancelled()),
        }
    }

    /// Sends an encoded item to the caller, if the style has them. Waits until the caller has granted credit for it.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if the item is too large, CANCELLED if the call is cancelled.
    ///
    /// # Cancel safety
    /// Cancel safe: if the future is dropped, the item was not sent.
    pub async fn send_item(&self, item: Bytes) -> Result<(), Error> {
        check_item(&item)?;
        let Some(channel) = self.context.stream_channel() else { return Ok(()) };
        self.unless_cancelled(poll_fn(|task| channel.poll_send(task, None, &item))).await
    }

    async fn unless_cancelled<T>(&self, part: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            biased;
            // Cancel safe: only waits.
            () = self.context.cancelled() => Err(cancelled()),
            // Nothing has been received or sent if it is dropped.
            output = part => Ok(output),
        }
    }
}

fn cancelled() -> Error {
    Error::new(Code::Cancelled, "the call was cancelled")
}

impl fmt::Debug for DynamicCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamicCall").field("context", self.context()).finish_non_exhaustive()
    }
}
