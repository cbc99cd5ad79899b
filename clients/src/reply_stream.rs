//! The items that a handler sends.

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

use crate::{
    call_error::CallError,
    pipe::{Came, Stretch},
};

/// The items that a handler sends: a stream of `Result<T, CallError>`, on any executor.
///
/// It ends after the last item, or with the error that ended the call. Items wait here, at most 64 and 256 KiB of them; a
/// reader that does not read holds its handler back, and nothing else. Items may be any that serde can read as `T`; one that is
/// not ends the call, INTERNAL.
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
/// Dropping it cancels the call, through to the handler, which is dropped at its next await.
#[must_use = "dropping a stream cancels its call"]
pub struct ReplyStream<T> {
    call: Stretch,
    items: PhantomData<fn() -> T>,
}

impl<T> ReplyStream<T> {
    pub(crate) fn new(call: Stretch) -> ReplyStream<T> {
        ReplyStream { call, items: PhantomData }
    }

    /// How many items were dropped so far in favour of newer ones: where the handler or this call keeps only the latest.
    pub fn dropped(&self) -> u64 {
        self.call.dropped()
    }

    /// Bytes of the items that wait here to be read, as they travel: at most 262,144.
    pub fn unread_bytes(&self) -> u64 {
        self.call.unread_bytes()
    }
}

impl<T: DeserializeOwned> ReplyStream<T> {
    /// The next item; `None` after the last one. (The same as `StreamExt::next`, without an import.)
    ///
    /// # Errors
    /// Those of [`CallError`], as the last item.
    ///
    /// # Cancel safety
    /// Dropping the future loses no item.
    pub async fn next(&mut self) -> Option<Result<T, CallError>> {
        poll_fn(|context| self.poll_item(context)).await
    }

    fn poll_item(&mut self, context: &Context<'_>) -> Poll<Option<Result<T, CallError>>> {
        Poll::Ready(match ready!(self.call.poll_next(context)) {
            Came::Item(item) => Some(body::decode(&item).map_err(|error| {
                let error = CallError::bad_item::<T>(&error);
                self.call.cancel(|| error.clone());
                self.call.forget();
                error
            })),
            Came::End(Some(Err(error))) => Some(Err(error)),
            Came::End(_) => None,
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
        self.call.cancel(CallError::given_up);
    }
}

impl<T> fmt::Debug for ReplyStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyStream").finish_non_exhaustive()
    }
}
