//! The callbacks of tasks.

use std::{future::poll_fn, marker::PhantomData, mem, task::Poll, thread};

use futures::{Stream, StreamExt as _};

use crate::error::call_error::CallError;

/// The number of items whose callbacks run in one poll, before other tasks and the program run: half of what may be buffered.
const ITEMS_PER_POLL: usize = 32;

/// A callback for an outcome. If the client is dropped before, it receives CANCELLED.
pub(super) struct OutcomeCallback<T, F: From<CallError>, C: FnOnce(Result<T, F>)>(Option<C>, Outcome<T, F>);

/// A callback for items and their end. If the client is dropped before, it receives CANCELLED.
pub(super) struct ItemCallback<T, F: From<CallError>, C: FnMut(Option<Result<T, F>>)>(Option<C>, Outcome<T, F>);

type Outcome<T, F> = PhantomData<fn(T, F)>;

impl<T, F: From<CallError>, C: FnOnce(Result<T, F>)> OutcomeCallback<T, F, C> {
    pub(super) fn new(callback: C) -> Self {
        OutcomeCallback(Some(callback), Outcome::default())
    }

    /// Runs the callback.
    pub(super) fn run(mut self, outcome: Result<T, F>) {
        if let Some(callback) = self.0.take() {
            callback(outcome);
        }
    }
}

impl<T, F: From<CallError>, C: FnMut(Option<Result<T, F>>)> ItemCallback<T, F, C> {
    pub(super) fn new(callback: C) -> Self {
        ItemCallback(Some(callback), Outcome::default())
    }

    /// Runs the callback with all items of a stream, and its end.
    pub(super) async fn run(mut self, mut items: impl Stream<Item = Result<T, F>> + Unpin) {
        for count in 1_usize.. {
            let item = items.next().await;
            let Some(callback) = &mut self.0 else { return };
            if matches!(item, Some(Ok(_))) {
                callback(item);
            } else {
                // Taken first, so that a callback that panics here does not receive a second end on drop.
                if let Some(mut callback) = self.0.take() {
                    callback(item);
                }
                return;
            }
            if count.is_multiple_of(ITEMS_PER_POLL) {
                yield_once().await;
            }
        }
    }
}

/// Yields to other tasks once.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl<T, F: From<CallError>, C: FnOnce(Result<T, F>)> Drop for OutcomeCallback<T, F, C> {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.0.take().into_iter().for_each(|callback| callback(Err(CallError::client_dropped().into())));
        }
    }
}

impl<T, F: From<CallError>, C: FnMut(Option<Result<T, F>>)> Drop for ItemCallback<T, F, C> {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.0.take().into_iter().for_each(|mut callback| callback(Some(Err(CallError::client_dropped().into()))));
        }
    }
}
