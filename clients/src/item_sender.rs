//! The items that a caller sends.

use std::{
    fmt,
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use callboard_core::{body, wire::limits::ITEM_BYTES_MAX};
use futures::Sink;
use serde::Serialize;

use crate::{call_error::CallError, pipe::Stretch};

/// Sends a call's items to its handler.
///
/// [`send`](ItemSender::send) waits while the handler does not read: at most 64 items and 256 KiB are on their way.
/// [`end`](ItemSender::end) says that there are no more. It is a `Sink` as well, whose closing says the end.
///
/// **Dropping it without `end` cancels the call**: half an upload must not be taken for a whole one.
#[must_use = "dropping a sender without its end cancels the call"]
pub struct ItemSender<I> {
    call: Stretch,
    /// Of a sink: an item that waits for room.
    waiting: Option<Bytes>,
    ended: bool,
    items: PhantomData<fn(I)>,
}

/// Why an item was not sent. `Debug` is the sentence, too, for a `main` that returns it.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The call is over; its outcome says why.
    #[error("the call is over: its outcome says why")]
    Closed,
    /// The item has no CBOR form.
    #[error("the item cannot be sent: {0}")]
    Encode(String),
    /// The item is too large.
    #[error("the item has {0} bytes, and an item has at most {ITEM_BYTES_MAX}: send it in parts")]
    TooLarge(usize),
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<I> ItemSender<I> {
    pub(crate) fn new(call: Stretch) -> ItemSender<I> {
        ItemSender { call, waiting: None, ended: false, items: PhantomData }
    }

    /// Says that there are no more items.
    pub fn end(mut self) {
        self.say_end();
    }

    fn say_end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.call.end();
        }
    }

    fn poll_waiting(&mut self, context: &Context<'_>) -> Poll<Result<(), SendError>> {
        if let Some(item) = &self.waiting {
            let sent = ready!(self.call.poll_send(context, item));
            self.waiting = None;
            return Poll::Ready(if sent { Ok(()) } else { Err(SendError::Closed) });
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: Serialize> ItemSender<I> {
    /// Sends an item, as soon as there is room for it.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the call has ended, which may be in order: a handler may have heard enough. Its outcome says. The
    /// others are about this item; the call goes on.
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready sends nothing.
    pub async fn send(&mut self, item: &I) -> Result<(), SendError> {
        poll_fn(|context| self.poll_waiting(context)).await?;
        let item = encoded(item)?;
        match poll_fn(|context| self.call.poll_send(context, &item)).await {
            true => Ok(()),
            false => Err(SendError::Closed),
        }
    }
}

fn encoded<I: Serialize>(item: &I) -> Result<Bytes, SendError> {
    let item = body::encode(item).map_err(|error| SendError::Encode(error.to_string()))?;
    match item.len() as u64 > ITEM_BYTES_MAX {
        true => Err(SendError::TooLarge(item.len())),
        false => Ok(item),
    }
}

impl<I: Serialize> Sink<I> for ItemSender<I> {
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_waiting(context)
    }

    fn start_send(mut self: Pin<&mut Self>, item: I) -> Result<(), SendError> {
        self.waiting = Some(encoded(&item)?);
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_waiting(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        ready!(self.poll_waiting(context))?;
        self.say_end();
        Poll::Ready(Ok(()))
    }
}

impl<I> Drop for ItemSender<I> {
    fn drop(&mut self) {
        if !self.ended {
            self.call.cancel(CallError::unended);
        }
    }
}

impl<I> fmt::Debug for ItemSender<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemSender").field("ended", &self.ended).finish_non_exhaustive()
    }
}
