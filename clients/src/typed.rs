//! Calls whose types are known beforehand: what a service's stub returns.

use std::{error::Error, fmt, marker::PhantomData, pin::Pin, task, time::Duration};

use callboard_core::wire::{
    envelope::{Effect, Priority},
    status::{Code, Executed},
};
use serde::de::DeserializeOwned;

use crate::{
    answers::Answers,
    blocking::wait_for,
    call::Call,
    call_error::CallError,
    call_future::CallFuture,
    reply_future::Progress,
    style::{self, Style},
    typed_streams::TypedReply,
};

/// A call in the making, as a stub's method returns it: a [`Call`] whose result `T` and failure `F` are known. `F` is
/// [`CallError`], or [`Failed<E>`] where the method returns `Result<T, E>`.
///
/// Its options and endings are those of [`Call`]; which endings it has says the method's style `S`. Where the method sends items, each
/// of them is a `T`.
#[must_use = "a call is made by one of its endings: .await, .on_complete(callback).await, .cast().await, .try_on_complete(callback), .try_cast(); with items .stream(), .upload(), .duplex()"]
#[derive(Debug)]
pub struct TypedCall<T, F = CallError, S = style::Unary> {
    pub(crate) call: Call<T>,
    pub(crate) own: &'static str,
    kind: PhantomData<fn(S) -> F>,
}

/// How a call of a method with an error `E` of its own failed.
///
/// ```
/// use callboard_clients::Failed;
///
/// # #[derive(Debug)] struct NoSuchUser { id: u32 }
/// fn explain(failed: Failed<NoSuchUser>) -> String {
///     match failed {
///         Failed::Application(NoSuchUser { id }) => format!("there is no user {id}"),
///         Failed::Call(error) => format!("the call failed: {error}"),
///     }
/// }
/// # assert_eq!(explain(Failed::Application(NoSuchUser { id: 7 })), "there is no user 7");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed<E> {
    /// The method ran, and this is its own error.
    Application(E),
    /// The call failed otherwise: nobody was there, the time was up, the arguments did not fit, ...
    Call(CallError),
}

/// What a typed call can fail with: [`CallError`], or [`Failed<E>`] with an `E` that serde reads.
#[diagnostic::on_unimplemented(
    message = "a method of a service cannot return the error in `{Self}`",
    note = "an error of a service's method is a type of your own that is Serialize, Deserialize and Display",
    note = "implement callboard::ErrorCode for it to give it a status code"
)]
pub trait CallFailure: Send + 'static {
    /// Makes it of a failed call; `own` is what the method's own error is called on the wire, or empty.
    #[doc(hidden)]
    fn from_call(error: CallError, own: &str) -> Self;
}

impl<T: DeserializeOwned + 'static, F: CallFailure, S: Style> TypedCall<T, F, S> {
    /// A call of a method whose own error is called `own`; empty if it has none.
    #[doc(hidden)]
    pub fn new(call: Call<T>, own: &'static str) -> TypedCall<T, F, S> {
        TypedCall { call, own, kind: PhantomData }
    }
}

impl<T, F, S> TypedCall<T, F, S> {
    /// As [`Call::timeout`].
    pub fn timeout(self, span: Duration) -> TypedCall<T, F, S> {
        self.with(|call| call.timeout(span))
    }

    /// As [`Call::no_timeout`].
    pub fn no_timeout(self) -> TypedCall<T, F, S> {
        self.with(Call::no_timeout)
    }

    /// As [`Call::key`].
    pub fn key(self, key: impl Into<String>) -> Self {
        self.with(|call| call.key(key))
    }

    /// As [`Call::wait_for_ready`].
    pub fn wait_for_ready(self) -> TypedCall<T, F, S> {
        self.with(Call::wait_for_ready)
    }

    /// As [`Call::effect`].
    pub fn effect(self, effect: Effect) -> TypedCall<T, F, S> {
        self.with(|call| call.effect(effect))
    }

    /// As [`Call::priority`].
    pub fn priority(self, priority: Priority) -> TypedCall<T, F, S> {
        self.with(|call| call.priority(priority))
    }

    pub(crate) fn with(self, change: impl FnOnce(Call<T>) -> Call<T>) -> TypedCall<T, F, S> {
        TypedCall { call: change(self.call), ..self }
    }
}

impl<T, F> TypedCall<T, F> {
    /// Makes the call and blocks until it has ended: for programs that are not async. As
    /// [`blocking::Call::wait`](crate::blocking::Call::wait).
    ///
    /// # Errors
    /// As when the call is awaited.
    pub fn wait(self) -> Result<T, F>
    where
        T: DeserializeOwned,
        F: CallFailure,
    {
        let own = self.own;
        wait_for(self.into_future()).unwrap_or_else(|| Err(F::from_call(CallError::served_call_given_up(), own)))
    }

    /// To every worker that serves the method, as [`Call::broadcast`]. A worker's own error is a [`CallError`] of its type's name.
    pub fn broadcast(self) -> Call<Answers<T>> {
        self.call.broadcast()
    }

    /// Makes the call, waits for its outcome, and tells `callback` how far the handler is. As [`Call::on_progress`].
    pub fn on_progress(self, callback: impl FnMut(Progress) + Send + 'static) -> TypedReply<T, F> {
        TypedReply::new(self.call.on_progress(callback), self.own)
    }

    /// Makes the call and goes on; nobody learns what becomes of it. As [`Call::cast`].
    ///
    /// # Errors
    /// As for [`Call::cast`].
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready takes the call back.
    pub async fn cast(self) -> Result<(), CallError> {
        self.call.discarding().cast().await
    }

    /// As [`TypedCall::cast`], but waits for nothing.
    ///
    /// # Errors
    /// As for [`Call::try_cast`].
    pub fn try_cast(self) -> Result<(), CallError> {
        self.call.discarding().try_cast()
    }
}

impl<T: DeserializeOwned + 'static, F: CallFailure> TypedCall<T, F> {
    /// Makes the call and goes on; `callback` gets the outcome, exactly once. As [`Call::on_complete`].
    ///
    /// # Errors
    /// As for [`Call::on_complete`].
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready takes the call back: the callback does not run. Afterwards the call goes on.
    pub async fn on_complete(self, callback: impl FnOnce(Result<T, F>) + Send + 'static) -> Result<(), CallError> {
        let own = self.own;
        self.call.on_complete(move |outcome| callback(typed(outcome, own))).await
    }

    /// As [`TypedCall::on_complete`], but waits for nothing.
    ///
    /// # Errors
    /// As for [`Call::try_on_complete`].
    pub fn try_on_complete(self, callback: impl FnOnce(Result<T, F>) + Send + 'static) -> Result<(), CallError> {
        let own = self.own;
        self.call.try_on_complete(move |outcome| callback(typed(outcome, own)))
    }
}

impl<T: DeserializeOwned, F: CallFailure> IntoFuture for TypedCall<T, F> {
    type Output = Result<T, F>;
    type IntoFuture = TypedCallFuture<T, F>;

    fn into_future(self) -> TypedCallFuture<T, F> {
        TypedCallFuture { call: self.call.into_future(), own: self.own, failure: PhantomData }
    }
}

/// An awaited [`TypedCall`]. As [`CallFuture`], in when it is made, what dropping it does, and where it panics.
#[must_use = "futures do nothing unless they are polled"]
#[derive(Debug)]
pub struct TypedCallFuture<T, F> {
    call: CallFuture<T>,
    own: &'static str,
    failure: PhantomData<fn() -> F>,
}

impl<T: DeserializeOwned, F: CallFailure> Future for TypedCallFuture<T, F> {
    type Output = Result<T, F>;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> task::Poll<Result<T, F>> {
        let own = self.own;
        Pin::new(&mut self.call).poll(context).map(|outcome| typed(outcome, own))
    }
}

pub(crate) fn typed<T, F: CallFailure>(outcome: Result<T, CallError>, own: &str) -> Result<T, F> {
    outcome.map_err(|error| F::from_call(error, own))
}

impl CallFailure for CallError {
    fn from_call(error: CallError, _own: &str) -> CallError {
        error
    }
}

impl<E: DeserializeOwned + Send + 'static> CallFailure for Failed<E> {
    fn from_call(error: CallError, own: &str) -> Failed<E> {
        // The library's own errors may bear the same name: those of arguments did not run, and a panic carries nothing.
        if error.type_name() == own
            && error.executed() == Executed::Yes
            && let Some(Ok(own)) = error.details()
        {
            return Failed::Application(own);
        }
        Failed::Call(error)
    }
}

impl<E> Failed<E> {
    /// The method's own error, if it is that.
    pub fn application(self) -> Option<E> {
        match self {
            Failed::Application(own) => Some(own),
            Failed::Call(_) => None,
        }
    }

    /// The code to act on where the call failed; `None` of the method's own error, which says more than a code.
    pub fn code(&self) -> Option<Code> {
        match self {
            Failed::Application(_) => None,
            Failed::Call(error) => Some(error.code()),
        }
    }
}

impl<E> From<CallError> for Failed<E> {
    fn from(error: CallError) -> Failed<E> {
        Failed::Call(error)
    }
}

impl<E: fmt::Display> fmt::Display for Failed<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failed::Application(own) => own.fmt(f),
            Failed::Call(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> Error for Failed<E> {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use callboard_core::{body, wire::status::Failure};

    use super::*;

    fn failure(type_name: &'static str, executed: Executed) -> CallError {
        let failure = Failure::new(Code::Unknown, executed, "there is no user 7");
        Box::new(Failure { type_name: type_name.into(), details: body::encode(&7).unwrap(), ..failure }).into()
    }

    #[test]
    fn an_error_of_the_methods_own_comes_back_as_what_it_was() {
        assert_eq!(Failed::from_call(failure("NoSuchUser", Executed::Yes), "NoSuchUser"), Failed::Application(7));
    }

    #[test]
    fn another_error_stays_what_it_is() {
        for error in [failure("Other", Executed::Yes), failure("NoSuchUser", Executed::No)] {
            assert_eq!(Failed::<u32>::from_call(error.clone(), "NoSuchUser"), Failed::Call(error));
        }
        let unreadable = failure("NoSuchUser", Executed::Yes);
        assert_eq!(Failed::<String>::from_call(unreadable.clone(), "NoSuchUser"), Failed::Call(unreadable));
    }
}
