//! Items that a caller sends.

use std::{
    fmt,
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context as Task, Poll, ready},
};

use callboard_core::{body, wire::status::Code};
use futures::Stream;
use serde::de::DeserializeOwned;

use crate::{
    answer::Error,
    line::{Came, Line},
};

/// The items that a caller sends: take it as the last parameter of an async function, and the method is a client stream. It is not
/// counted among the names.
///
/// It ends when the caller has said the end. An item that serde cannot read as `T` is an [`Error`] with INVALID_ARGUMENT, after which
/// nothing comes; the call ends with it, whatever the function returns then. A function that does not read holds its caller back, and
/// nothing else; one may return before the end.
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
    /// None where a worker runs the function without a stream, which it does not.
    line: Option<Arc<Line>>,
    count: u64,
    items: PhantomData<fn() -> T>,
}

impl<T> Incoming<T> {
    pub(crate) fn new(line: Option<Arc<Line>>) -> Incoming<T> {
        Incoming { line, count: 0, items: PhantomData }
    }

    /// Bytes of the items that wait here to be read, as they travel: at most 262,144.
    pub fn unread_bytes(&self) -> u64 {
        self.line.as_ref().map_or(0, |line| line.unread_bytes())
    }
}

impl<T: DeserializeOwned> Incoming<T> {
    /// The next item; `None` after the last one. (The same as `StreamExt::next`, without an import.)
    ///
    /// # Errors
    /// INVALID_ARGUMENT for an item that is no `T`; CANCELLED if the call has ended (of an `Incoming` that outlives it).
    ///
    /// # Cancel safety
    /// Dropping the future loses no item.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        poll_fn(|task| self.poll_item(task)).await
    }

    fn poll_item(&mut self, task: &Task<'_>) -> Poll<Option<Result<T, Error>>> {
        let Some(line) = &self.line else { return Poll::Ready(None) };
        let item = match ready!(line.poll_next(task)) {
            Came::Item(item) => body::decode(&item).map_err(|error| {
                let text = format!("item {} of the stream does not fit: {error}", self.count);
                let error = Error::new(Code::InvalidArgument, text);
                line.spoil(error.clone().into_failure());
                error
            }),
            Came::Over => Err(Error::new(Code::Cancelled, "the call ended before its caller had sent all items")),
            Came::End => return Poll::Ready(None),
        };
        self.count += 1;
        if item.is_err() {
            self.line = None;
        }
        Poll::Ready(Some(item))
    }
}

impl<T: DeserializeOwned> Stream for Incoming<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(task)
    }
}

impl<T> fmt::Debug for Incoming<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("count", &self.count).finish_non_exhaustive()
    }
}
