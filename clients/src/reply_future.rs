//! The reply of a call that has more than a reply: items to its handler, or progress.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use callboard_core::body;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    call::decode,
    call_error::CallError,
    pipe::{Came, Stretch},
};

/// How far a handler is, by its own word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is done, in a unit of the handler's choice.
    pub done: u64,
    /// What there is to be done in all, if the handler knows.
    pub total: Option<u64>,
    /// What it is doing, for people; often empty.
    pub message: String,
}

/// The outcome of a call that was made by [`Call::upload`](crate::Call::upload) or [`Call::on_progress`](crate::Call::on_progress).
///
/// # Cancel safety
/// Dropping it cancels the call, through to the handler.
#[must_use = "futures do nothing unless they are polled, and dropping this one cancels its call"]
pub struct ReplyFuture<R> {
    call: Stretch,
    tell: Option<Tell>,
    /// What was told last: progress goes forward only, also where the call is run a second time.
    told: Option<u64>,
    result: PhantomData<fn() -> R>,
}

/// Whom progress is told.
pub(crate) type Tell = Box<dyn FnMut(Progress) + Send>;

impl<R> ReplyFuture<R> {
    pub(crate) fn new(call: Stretch, tell: Option<Tell>) -> ReplyFuture<R> {
        ReplyFuture { call, tell, told: None, result: PhantomData }
    }

    /// Tells the progress that came: on the caller's own task, so that it is never told after the outcome.
    fn tell_progress(&mut self, context: &Context<'_>) {
        let Some(tell) = &mut self.tell else { return };
        while let Poll::Ready(word) = self.call.poll_progress(context) {
            // One of a wrong form is a hint less.
            let Ok((done, total, message)) = body::decode::<(u64, Option<u64>, String)>(&word) else { continue };
            if self.told.is_none_or(|told| told <= done) {
                self.told = Some(done);
                tell(Progress { done, total, message });
            }
        }
    }
}

impl<R: DeserializeOwned> Future for ReplyFuture<R> {
    type Output = Result<R, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.tell_progress(context);
        loop {
            match ready!(self.call.poll_next(context)) {
                // No item comes of such a call.
                Came::Item(_) => {}
                Came::End(outcome) => {
                    return Poll::Ready(decode(outcome.expect("a future is not polled after it was ready")));
                }
            }
        }
    }
}

impl<R> Drop for ReplyFuture<R> {
    fn drop(&mut self) {
        self.call.cancel(CallError::given_up);
    }
}

impl<R> fmt::Debug for ReplyFuture<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyFuture").finish_non_exhaustive()
    }
}
