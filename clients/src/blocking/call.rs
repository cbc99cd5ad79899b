//! The calls of a blocking client.

use std::time::Duration;

use callboard_core::wire::envelope::{Effect, Priority};
use serde::de::DeserializeOwned;

use super::{
    items::{ItemSender, Items, Reply},
    wait::{block_on, wait_for},
};
use crate::{
    call::{Call as AsyncCall, answers::Answers},
    error::call_error::CallError,
    stream::{progress::Progress, reply_future::ReplyFuture, reply_stream::ReplyStream},
};

/// A call with its options. One of its endings makes the call: [`wait`](Call::wait), [`on_complete`](Call::on_complete),
/// [`cast`](Call::cast), and with items or progress [`stream`](Call::stream), [`upload`](Call::upload), [`duplex`](Call::duplex),
/// [`on_progress`](Call::on_progress).
#[must_use = "a call is made by one of its endings: .wait(), .on_complete(callback), .cast(), .stream(), .upload(), .duplex()"]
#[derive(Debug)]
pub struct Call<T>(AsyncCall<T>);

impl<T> Call<T> {
    pub(super) fn new(call: AsyncCall<T>) -> Call<T> {
        Call(call)
    }

    /// Sets the timeout of the whole call, instead of the client's default. A timeout of zero passes at once.
    pub fn timeout(self, span: Duration) -> Call<T> {
        Call(self.0.timeout(span))
    }

    /// Removes the timeout. The call still ends when its worker is lost or the client is closed.
    pub fn no_timeout(self) -> Call<T> {
        Call(self.0.no_timeout())
    }

    /// Waits for a worker, within the timeout, if no worker serves the service now.
    pub fn wait_for_ready(self) -> Call<T> {
        Call(self.0.wait_for_ready())
    }

    /// Sets the affinity key: calls with the same key of the same service run one at a time, in order, on one worker. See
    /// [`Call::key`](crate::Call::key).
    pub fn key(self, key: impl Into<String>) -> Call<T> {
        Call(self.0.key(key))
    }

    /// Sends the call to every worker that serves the method. The result has the answer of each. See
    /// [`Call::broadcast`](crate::Call::broadcast).
    pub fn broadcast(self) -> Call<Answers<T>> {
        Call(self.0.broadcast())
    }

    /// Sets an effect that is stricter than the one that the method's worker declared.
    pub fn effect(self, effect: Effect) -> Call<T> {
        Call(self.0.effect(effect))
    }

    /// Sets the priority among the queued calls of the same authkey, or of the same address without one.
    pub fn priority(self, priority: Priority) -> Call<T> {
        Call(self.0.priority(priority))
    }

    /// Keeps only the newest unread item of a reply stream. Has no effect on other calls.
    pub fn conflate(self) -> Call<T> {
        Call(self.0.conflate())
    }

    /// Makes the call and reads the items that its handler sends. See [`Call::stream`](crate::Call::stream).
    pub fn stream<O>(self) -> Items<ReplyStream<O>> {
        self.0.stream().into()
    }

    /// Makes the call and sends items to its handler. See [`Call::upload`](crate::Call::upload).
    pub fn upload<I>(self) -> (ItemSender<I>, Reply<ReplyFuture<T>>)
    where
        T: DeserializeOwned,
    {
        let (items, reply) = self.0.upload();
        (items.into(), reply.into())
    }

    /// Makes the call, sends items to its handler and reads the items that the handler sends: on two threads, or alternately if the
    /// handler answers each item. See [`Call::duplex`](crate::Call::duplex).
    pub fn duplex<I, O>(self) -> (ItemSender<I>, Items<ReplyStream<O>>) {
        let (sender, items) = self.0.duplex();
        (sender.into(), items.into())
    }

    /// Makes the call. [`Reply::wait`] passes the handler's progress reports to `callback`, on the thread that waits. See
    /// [`Call::on_progress`](crate::Call::on_progress).
    pub fn on_progress(self, callback: impl FnMut(Progress) + Send + 'static) -> Reply<ReplyFuture<T>>
    where
        T: DeserializeOwned,
    {
        self.0.on_progress(callback).into()
    }
}

impl<T: DeserializeOwned + 'static> Call<T> {
    /// Makes the call and blocks until it has ended, at the latest at its timeout. In a handler it ends CANCELLED when the call that
    /// the handler serves is cancelled.
    ///
    /// # Errors
    /// [`CallError`], as when a call is awaited.
    pub fn wait(self) -> Result<T, CallError> {
        wait_for(self.0.into_future()).unwrap_or_else(|| Err(CallError::served_call_cancelled()))
    }

    /// Makes the call and registers `callback` for its outcome. The callback runs on the client's callback thread. Blocks only while
    /// the client's queue is full. See [`Call::on_complete`](crate::Call::on_complete).
    ///
    /// # Errors
    /// The call was not made, and the callback does not run.
    pub fn on_complete<F>(self, callback: F) -> Result<(), CallError>
    where
        F: FnOnce(Result<T, CallError>) + Send + 'static,
    {
        block_on(self.0.on_complete(callback))
    }
}

impl Call<()> {
    /// Sends a one-way call: its outcome is dropped. Blocks only while the client's queue is full. See
    /// [`Call::cast`](crate::Call::cast).
    ///
    /// # Errors
    /// The call was not made.
    pub fn cast(self) -> Result<(), CallError> {
        block_on(self.0.cast())
    }

    /// Sends a one-way call, as [`cast`](Call::cast), to every worker that serves the method. See
    /// [`Call::cast_to_all`](crate::Call::cast_to_all).
    ///
    /// # Errors
    /// The call was not made.
    pub fn cast_to_all(self) -> Result<(), CallError> {
        block_on(self.0.cast_to_all())
    }
}
