//! The stream of a handler's items.

use std::{
    fmt,
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use callboard_core::body;
use futures::Stream;
use serde::de::DeserializeOwned;

use super::handle::{NextItem, StreamHandle};
use crate::error::call_error::CallError;

/// The stream of a handler's items: `Result<T, CallError>`, on any executor.
///
/// It ends after the last item, or with the error that ended the call. It buffers at most 1,024 items and 256 KiB; a slow reader applies
/// backpressure to its handler and to nothing else. `T` is any type that serde can deserialize. An item that is not a `T` ends the
/// call INTERNAL.
///
/// ```no_run
/// # async fn example(client: callboard_clients::Client) -> Result<(), callboard_clients::CallError> {
/// let mut prices = client.call::<()>("prices.watch", ("EUR",)).no_timeout().stream::<f64>();
/// while let Some(price) = prices.next().await {
///     println!("{}", price?);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// Dropping the stream cancels the call, including its handler, which is dropped at its next await.
#[must_use = "dropping a stream cancels its call"]
pub struct ReplyStream<T> {
    call: StreamHandle,
    items: PhantomData<fn() -> T>,
}

impl<T> ReplyStream<T> {
    pub(crate) fn new(call: StreamHandle) -> ReplyStream<T> {
        ReplyStream { call, items: PhantomData }
    }

    /// Returns the number of items that were dropped in favour of newer ones, because the handler or this call keeps
    /// only the newest.
    pub fn dropped(&self) -> u64 {
        self.call.dropped()
    }

    /// Returns the encoded size of the buffered items in bytes: at most 262,144.
    pub fn unread_bytes(&self) -> u64 {
        self.call.unread_bytes()
    }
}

impl<T: DeserializeOwned> ReplyStream<T> {
    /// Returns the next item, or `None` after the last one. The same as `StreamExt::next`, without an import.
    ///
    /// # Errors
    /// The [`CallError`] that ended the call, as the last item.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping the future loses no item.
    pub async fn next(&mut self) -> Option<Result<T, CallError>> {
        poll_fn(|context| self.poll_item(context)).await
    }

    fn poll_item(&mut self, context: &Context<'_>) -> Poll<Option<Result<T, CallError>>> {
        Poll::Ready(match ready!(self.call.poll_next(context)) {
            NextItem::Item(item) => Some(body::decode_shared(&item).map_err(|error| {
                let error = CallError::invalid_item::<T>(&error);
                self.call.cancel_and_clear(|| error.clone());
                error
            })),
            NextItem::End(Some(Err(error))) => Some(Err(error)),
            NextItem::End(_) => None,
        })
    }
}

impl<T: DeserializeOwned> Stream for ReplyStream<T> {
    type Item = Result<T, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(context)
    }
}

impl<T> Drop for ReplyStream<T> {
    fn drop(&mut self) {
        self.call.cancel(CallError::reader_dropped);
    }
}

impl<T> fmt::Debug for ReplyStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyStream").finish_non_exhaustive()
    }
}
