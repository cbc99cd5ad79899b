//! The reply of a typed call that uploads items or receives progress.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use serde::de::DeserializeOwned;

use super::failure::{CallFailure, typed};
use crate::stream::reply_future::ReplyFuture;

/// The future of the outcome of a stub's call that uploads items or receives progress. As [`ReplyFuture`] in cancel safety.
#[must_use = "futures do nothing unless they are polled, and dropping this one cancels its call"]
pub struct TypedReply<T, F> {
    reply: ReplyFuture<T>,
    error_type: &'static str,
    failure: PhantomData<fn() -> F>,
}

impl<T, F> TypedReply<T, F> {
    pub(crate) fn new(reply: ReplyFuture<T>, error_type: &'static str) -> TypedReply<T, F> {
        TypedReply { reply, error_type, failure: PhantomData }
    }
}

impl<T: DeserializeOwned, F: CallFailure> Future for TypedReply<T, F> {
    type Output = Result<T, F>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.reply).poll(context));
        Poll::Ready(typed(outcome, self.error_type))
    }
}

impl<T, F> fmt::Debug for TypedReply<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedReply").finish_non_exhaustive()
    }
}
