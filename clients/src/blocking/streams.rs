//! Streams for programs that are not async: an iterator, a sender and a reply that block.

use std::{fmt, pin::pin};

use callboard_transport::CallScope;
use futures::{
    Stream, StreamExt as _,
    future::{Either, select},
};
use serde::Serialize;

use super::wait::block_on;
use crate::{CallError, SendError};

/// The items that a handler sends, as an iterator that blocks until the next one is there. It is made of any stream of a call:
/// [`Call::stream`](super::Call::stream) makes it of its own, `Items::from` of a stub's.
///
/// In a handler it ends CANCELLED when nobody waits for the handler any more. Dropping it cancels the call.
#[must_use = "dropping a stream cancels its call"]
pub struct Items<S>(Option<S>);

/// Sends a call's items to its handler, as [`ItemSender`](crate::ItemSender) does; [`send`](ItemSender::send) blocks while the handler
/// does not read. **Dropping it without [`end`](ItemSender::end) cancels the call.**
#[must_use = "dropping a sender without its end cancels the call"]
#[derive(Debug)]
pub struct ItemSender<I>(crate::ItemSender<I>);

/// The outcome of a call that has more than an outcome: items to its handler, or progress. Dropping it cancels the call.
#[must_use = "a reply is waited for by .wait(), and dropping it cancels its call"]
#[derive(Debug)]
pub struct Reply<R>(R);

impl<S> Items<S> {
    /// The stream, unless it has ended. Here is told how many items were dropped
    /// ([`ReplyStream::dropped`](crate::ReplyStream::dropped)).
    pub fn as_stream(&self) -> Option<&S> {
        self.0.as_ref()
    }
}

impl<S, T, F> Iterator for Items<S>
where
    S: Stream<Item = Result<T, F>> + Unpin,
    F: From<CallError>,
{
    type Item = Result<T, F>;

    fn next(&mut self) -> Option<Result<T, F>> {
        let item = wait_for(self.0.as_mut()?.next());
        let item = item.unwrap_or_else(|| Some(Err(CallError::served_call_given_up().into())));
        if !matches!(item, Some(Ok(_))) {
            self.0 = None;
        }
        item
    }
}

impl<I: Serialize> ItemSender<I> {
    /// Sends an item; blocks until there is room for it.
    ///
    /// # Errors
    /// As for [`ItemSender::send`](crate::ItemSender::send). Where nobody waits any more for the handler that calls this, the call is
    /// as good as over.
    pub fn send(&mut self, item: &I) -> Result<(), SendError> {
        wait_for(self.0.send(item)).unwrap_or(Err(SendError::Closed))
    }

    /// Says that there are no more items.
    pub fn end(self) {
        self.0.end();
    }
}

impl<R, T, F> Reply<R>
where
    R: Future<Output = Result<T, F>>,
    F: From<CallError>,
{
    /// Blocks until the call has ended, its time-out at the latest. In a handler it ends CANCELLED when nobody waits for the handler
    /// any more.
    ///
    /// # Errors
    /// The call's.
    pub fn wait(self) -> Result<T, F> {
        wait_for(self.0).unwrap_or_else(|| Err(CallError::served_call_given_up().into()))
    }
}

/// Blocks until a future is ready; `None` in a handler for which nobody waits any more.
pub(crate) fn wait_for<F: Future>(future: F) -> Option<F::Output> {
    let Some(scope) = CallScope::current() else { return Some(block_on(future)) };
    // The cancel is looked at second: an outcome that is there counts.
    match block_on(select(pin!(future), pin!(scope.cancelled()))) {
        Either::Left((outcome, _)) => Some(outcome),
        Either::Right(_) => None,
    }
}

impl<S> From<S> for Items<S> {
    fn from(stream: S) -> Items<S> {
        Items(Some(stream))
    }
}

impl<I> From<crate::ItemSender<I>> for ItemSender<I> {
    fn from(sender: crate::ItemSender<I>) -> ItemSender<I> {
        ItemSender(sender)
    }
}

impl<R: Future> From<R> for Reply<R> {
    fn from(reply: R) -> Reply<R> {
        Reply(reply)
    }
}

impl<S> fmt::Debug for Items<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("ended", &self.0.is_none()).finish_non_exhaustive()
    }
}
