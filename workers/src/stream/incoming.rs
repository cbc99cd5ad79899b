//! The items that a caller sends to a handler.

use std::{
    fmt,
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, ready},
};

use callboard_core::{
    body,
    wire::{item_batch::BatchReader, status::Code},
};
use futures::Stream;
use serde::de::DeserializeOwned;

use super::channel::{Received, StreamChannel};
use crate::outcome::Error;

/// The items that a caller sends. An async function with an `Incoming` as its last parameter is a client-streaming method. This
/// parameter has no argument name.
///
/// The stream ends when the caller ends its items. An item that does not deserialize as `T` gives an [`Error`] with INVALID_ARGUMENT,
/// and the stream ends after it. The call then fails with that error, whatever the function returns. A function that reads slowly
/// applies backpressure to its caller only. A function can return before the end of the stream.
///
/// ```
/// use callboard_workers::{Error, Incoming, Service};
///
/// async fn sum(mut numbers: Incoming<i64>) -> Result<i64, Error> {
///     let mut sum = 0;
///     while let Some(number) = numbers.next().await {
///         sum += number?;
///     }
///     Ok(sum)
/// }
///
/// let service = Service::new("calculator").read("sum", [], sum);
/// # drop(service);
/// ```
pub struct Incoming<T> {
    /// `None` after an invalid item.
    channel: Option<Arc<StreamChannel>>,
    /// The items that were taken from the channel.
    reading: BatchReader,
    /// The number of items read.
    count: u64,
    items: PhantomData<fn() -> T>,
}

impl<T> Incoming<T> {
    pub(crate) fn new(channel: Option<Arc<StreamChannel>>) -> Incoming<T> {
        Incoming { channel, reading: BatchReader::default(), count: 0, items: PhantomData }
    }

    /// Returns the encoded size of the received items that have not been read, in bytes: at most 262,144.
    pub fn unread_bytes(&self) -> u64 {
        self.channel.as_ref().map_or(0, |channel| self.reading.unread_bytes() + channel.received_bytes())
    }
}

impl<T: DeserializeOwned> Incoming<T> {
    /// Receives the next item; `None` after the last one. It is the same as `StreamExt::next`, without an import.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if an item does not deserialize as `T`; CANCELLED if the call is over (for an `Incoming` that outlives it).
    ///
    /// # Cancel safety
    /// Cancel safe: no item is lost.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        poll_fn(|task| self.poll_item(task)).await
    }

    fn poll_item(&mut self, task: &TaskContext<'_>) -> Poll<Option<Result<T, Error>>> {
        let Some(channel) = &self.channel else { return Poll::Ready(None) };
        let item = loop {
            if let Some((item, consumed)) = self.reading.next_item() {
                consumed.into_iter().for_each(|credit| channel.record_consumed(credit));
                break body::decode_shared(&item).map_err(|error| {
                    let text = format!("item {} of the stream is invalid: {error}", self.count);
                    let error = Error::new(Code::InvalidArgument, text);
                    channel.abort(error.clone().into_failure());
                    error
                });
            }
            match ready!(channel.poll_next(task)) {
                Received::Items(batch) => self.reading = BatchReader::new(batch),
                Received::Closed => break Err(ended_early()),
                Received::End => return Poll::Ready(None),
            }
        };
        self.count += 1;
        if item.is_err() {
            self.channel = None;
        }
        Poll::Ready(Some(item))
    }
}

fn ended_early() -> Error {
    Error::new(Code::Cancelled, "the call ended before the caller had sent all items")
}

impl<T: DeserializeOwned> Stream for Incoming<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(task)
    }
}

impl<T> fmt::Debug for Incoming<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("count", &self.count).finish_non_exhaustive()
    }
}
