//! The calls of a service's stub, whose types are known.

use std::{marker::PhantomData, pin::Pin, task, time::Duration};

use callboard_core::wire::envelope::{Effect, Priority};
use serde::de::DeserializeOwned;

use super::{
    failure::{CallFailure, typed},
    reply::TypedReply,
    style::{self, Style},
};
use crate::{
    blocking::wait::wait_for,
    call::{Call, answers::Answers, future::CallFuture},
    error::call_error::CallError,
    stream::progress::Progress,
};

/// A call that a stub's method returns: a [`Call`] with a known result type `T` and error type `F`. `F` is [`CallError`], or
/// [`Failed<E>`](crate::Failed) if the method returns `Result<T, E>`.
///
/// Its options and endings are those of [`Call`]. The method's style `S` selects the endings. If the method sends items, each of them
/// is a `T`.
#[must_use = "a call is made by one of its endings: .await, .on_complete(callback).await, .cast().await, .try_on_complete(callback), .try_cast(); with items .stream(), .upload(), .duplex()"]
#[derive(Debug)]
pub struct TypedCall<T, F = CallError, S = style::Unary> {
    pub(crate) call: Call<T>,
    /// The name of the method's error type on the wire; empty if it has none.
    pub(crate) error_type: &'static str,
    kind: PhantomData<fn(S) -> F>,
}

impl<T: DeserializeOwned + 'static, F: CallFailure, S: Style> TypedCall<T, F, S> {
    /// Creates a call of a method whose error type is called `error_type`; empty if it has none.
    #[doc(hidden)]
    pub fn new(call: Call<T>, error_type: &'static str) -> TypedCall<T, F, S> {
        TypedCall { call, error_type, kind: PhantomData }
    }
}

impl<T, F, S> TypedCall<T, F, S> {
    /// Sets the timeout, as [`Call::timeout`].
    pub fn timeout(self, span: Duration) -> TypedCall<T, F, S> {
        self.with(|call| call.timeout(span))
    }

    /// Removes the timeout, as [`Call::no_timeout`].
    pub fn no_timeout(self) -> TypedCall<T, F, S> {
        self.with(Call::no_timeout)
    }

    /// Sets the affinity key, as [`Call::key`].
    pub fn key(self, key: impl Into<String>) -> Self {
        self.with(|call| call.key(key))
    }

    /// Waits for a worker if none serves the service, as [`Call::wait_for_ready`].
    pub fn wait_for_ready(self) -> TypedCall<T, F, S> {
        self.with(Call::wait_for_ready)
    }

    /// Sets a stricter effect, as [`Call::effect`].
    pub fn effect(self, effect: Effect) -> TypedCall<T, F, S> {
        self.with(|call| call.effect(effect))
    }

    /// Sets the priority, as [`Call::priority`].
    pub fn priority(self, priority: Priority) -> TypedCall<T, F, S> {
        self.with(|call| call.priority(priority))
    }

    pub(crate) fn with(self, change: impl FnOnce(Call<T>) -> Call<T>) -> TypedCall<T, F, S> {
        TypedCall { call: change(self.call), ..self }
    }
}

impl<T, F> TypedCall<T, F> {
    /// Makes the call and blocks until it has ended, for programs that are not async. As
    /// [`blocking::Call::wait`](crate::blocking::Call::wait).
    ///
    /// # Errors
    /// As when the call is awaited.
    pub fn wait(self) -> Result<T, F>
    where
        T: DeserializeOwned,
        F: CallFailure,
    {
        let error_type = self.error_type;
        wait_for(self.into_future())
            .unwrap_or_else(|| Err(F::from_call(CallError::served_call_cancelled(), error_type)))
    }

    /// Sends the call to every worker that serves the method, as [`Call::broadcast`]. An application error of a worker is a
    /// [`CallError`] with the name of its type.
    pub fn broadcast(self) -> Call<Answers<T>> {
        self.call.broadcast()
    }

    /// Makes the call, and passes the handler's progress reports to `callback`. As [`Call::on_progress`].
    pub fn on_progress(self, callback: impl FnMut(Progress) + Send + 'static) -> TypedReply<T, F> {
        TypedReply::new(self.call.on_progress(callback), self.error_type)
    }

    /// Sends a one-way call: its outcome is dropped. As [`Call::cast`].
    ///
    /// # Errors
    /// As for [`Call::cast`].
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready withdraws the call.
    pub async fn cast(self) -> Result<(), CallError> {
        self.call.without_result().cast().await
    }

    /// Sends a one-way call as [`TypedCall::cast`] does, but does not wait for capacity.
    ///
    /// # Errors
    /// As for [`Call::try_cast`].
    pub fn try_cast(self) -> Result<(), CallError> {
        self.call.without_result().try_cast()
    }
}

impl<T: DeserializeOwned + 'static, F: CallFailure> TypedCall<T, F> {
    /// Makes the call and registers `callback` for its outcome. As [`Call::on_complete`].
    ///
    /// # Errors
    /// As for [`Call::on_complete`].
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready withdraws the call, and the callback does not run. Afterwards the call continues.
    pub async fn on_complete(self, callback: impl FnOnce(Result<T, F>) + Send + 'static) -> Result<(), CallError> {
        let error_type = self.error_type;
        self.call.on_complete(move |outcome| callback(typed(outcome, error_type))).await
    }

    /// Makes the call as [`TypedCall::on_complete`] does, but does not wait for capacity.
    ///
    /// # Errors
    /// As for [`Call::try_on_complete`].
    pub fn try_on_complete(self, callback: impl FnOnce(Result<T, F>) + Send + 'static) -> Result<(), CallError> {
        let error_type = self.error_type;
        self.call.try_on_complete(move |outcome| callback(typed(outcome, error_type)))
    }
}

impl<T: DeserializeOwned, F: CallFailure> IntoFuture for TypedCall<T, F> {
    type Output = Result<T, F>;
    type IntoFuture = TypedCallFuture<T, F>;

    fn into_future(self) -> TypedCallFuture<T, F> {
        TypedCallFuture { call: self.call.into_future(), error_type: self.error_type, failure: PhantomData }
    }
}

/// The future of an awaited [`TypedCall`]. As [`CallFuture`] in cancel safety and panics.
#[must_use = "futures do nothing unless they are polled"]
#[derive(Debug)]
pub struct TypedCallFuture<T, F> {
    call: CallFuture<T>,
    error_type: &'static str,
    failure: PhantomData<fn() -> F>,
}

impl<T: DeserializeOwned, F: CallFailure> Future for TypedCallFuture<T, F> {
    type Output = Result<T, F>;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> task::Poll<Result<T, F>> {
        let error_type = self.error_type;
        Pin::new(&mut self.call).poll(context).map(|outcome| typed(outcome, error_type))
    }
}
