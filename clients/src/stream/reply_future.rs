//! The reply of a call that uploads items or receives progress.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use callboard_core::body;
use serde::de::DeserializeOwned;

use super::{
    handle::{NextItem, StreamHandle},
    progress::Progress,
};
use crate::{call::decode::decode, error::call_error::CallError};

/// The future of the outcome of a call that was made by [`Call::upload`](crate::Call::upload) or [`Call::on_progress`](crate::Call::on_progress).
///
/// # Cancel safety
/// Dropping the future cancels the call, including its handler.
#[must_use = "futures do nothing unless they are polled, and dropping this one cancels its call"]
pub struct ReplyFuture<R> {
    call: StreamHandle,
    on_progress: Option<OnProgress>,
    /// The last reported progress. Reports never decrease, also if the call runs a second time.
    reported: Option<u64>,
    result: PhantomData<fn() -> R>,
}

/// The callback that receives progress reports.
pub(crate) type OnProgress = Box<dyn FnMut(Progress) + Send>;

impl<R> ReplyFuture<R> {
    pub(crate) fn new(call: StreamHandle, on_progress: Option<OnProgress>) -> ReplyFuture<R> {
        ReplyFuture { call, on_progress, reported: None, result: PhantomData }
    }

    /// Passes the progress reports that arrived to the callback. Runs on the caller's task, so that no report follows the outcome.
    fn report_progress(&mut self, context: &Context<'_>) {
        let Some(on_progress) = &mut self.on_progress else { return };
        while let Poll::Ready(report) = self.call.poll_progress(context) {
            // A malformed report is ignored: progress is only a hint.
            let Ok((done, total, message)) = body::decode::<(u64, Option<u64>, String)>(&report) else { continue };
            if self.reported.is_none_or(|reported| reported <= done) {
                self.reported = Some(done);
                on_progress(Progress { done, total, message });
            }
        }
    }
}

impl<R: DeserializeOwned> Future for ReplyFuture<R> {
    type Output = Result<R, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.report_progress(context);
        loop {
            match ready!(self.call.poll_next(context)) {
                // Such a call has no items for its caller.
                NextItem::Item(_) => {}
                NextItem::End(outcome) => {
                    return Poll::Ready(decode(outcome.expect("a future must not be polled after it was ready")));
                }
            }
        }
    }
}

impl<R> Drop for ReplyFuture<R> {
    fn drop(&mut self) {
        self.call.cancel(CallError::reader_dropped);
    }
}

impl<R> fmt::Debug for ReplyFuture<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyFuture").finish_non_exhaustive()
    }
}
