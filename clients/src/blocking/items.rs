//! Blocking streams: an iterator, a sender and a reply.

use std::fmt;

use futures::{Stream, StreamExt as _};
use serde::Serialize;

use super::wait::wait_for;
use crate::{
    error::{call_error::CallError, send_error::SendError},
    stream::item_sender::ItemSender as AsyncItemSender,
};

/// An iterator over a handler's items, which blocks until the next item arrives. [`Call::stream`](super::Call::stream) returns one;
/// `Items::from` converts the stream of a stub's call.
///
/// In a handler it ends CANCELLED when the call that the handler serves is cancelled. Dropping it cancels the call.
#[must_use = "dropping a stream cancels its call"]
pub struct Items<S>(Option<S>);

/// The blocking sender of a call's items, as [`ItemSender`](crate::ItemSender). [`send`](ItemSender::send) blocks while the handler
/// does not read. **Dropping it without [`end`](ItemSender::end) cancels the call.**
#[must_use = "dropping a sender without its end cancels the call"]
#[derive(Debug)]
pub struct ItemSender<I>(AsyncItemSender<I>);

/// The outcome of a call that uploads items or receives progress. Dropping it cancels the call.
#[must_use = "a reply is waited for by .wait(), and dropping it cancels its call"]
#[derive(Debug)]
pub struct Reply<R>(R);

impl<S> Items<S> {
    /// Returns the stream, unless it has ended; for example for [`ReplyStream::dropped`](crate::ReplyStream::dropped).
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
        let item = item.unwrap_or_else(|| Some(Err(CallError::served_call_cancelled().into())));
        if !matches!(item, Some(Ok(_))) {
            self.0 = None;
        }
        item
    }
}

impl<I: Serialize> ItemSender<I> {
    /// Sends an item; blocks until there is credit for it.
    ///
    /// # Errors
    /// As for [`ItemSender::send`](crate::ItemSender::send). In a handler also [`SendError::Closed`] when the call that the handler
    /// serves is cancelled.
    pub fn send(&mut self, item: &I) -> Result<(), SendError> {
        wait_for(self.0.send(item)).unwrap_or(Err(SendError::Closed))
    }

    /// Ends the items.
    pub fn end(self) {
        self.0.end();
    }
}

impl<R, T, F> Reply<R>
where
    R: Future<Output = Result<T, F>>,
    F: From<CallError>,
{
    /// Blocks until the call has ended, at the latest at its timeout. In a handler it ends CANCELLED when the call that the handler
    /// serves is cancelled.
    ///
    /// # Errors
    /// The error of the call.
    pub fn wait(self) -> Result<T, F> {
        wait_for(self.0).unwrap_or_else(|| Err(CallError::served_call_cancelled().into()))
    }
}

impl<S> From<S> for Items<S> {
    fn from(stream: S) -> Items<S> {
        Items(Some(stream))
    }
}

impl<I> From<AsyncItemSender<I>> for ItemSender<I> {
    fn from(sender: AsyncItemSender<I>) -> ItemSender<I> {
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
