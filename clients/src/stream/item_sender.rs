//! The sender of a caller's items.

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

use super::handle::StreamHandle;
use crate::error::{call_error::CallError, send_error::SendError};

/// The sender of a call's items to its handler.
///
/// [`send`](ItemSender::send) waits while the handler does not read: at most 1,024 items and 256 KiB are in flight.
/// [`end`](ItemSender::end) ends the items. The sender is also a `Sink`; closing it ends the items.
///
/// **Dropping it without `end` cancels the call**, so that a handler never mistakes a partial upload for a complete one.
#[must_use = "dropping a sender without its end cancels the call"]
pub struct ItemSender<I> {
    call: StreamHandle,
    /// The item that the `Sink` was given, until there is credit for it.
    waiting: Option<Bytes>,
    ended: bool,
    items: PhantomData<fn(I)>,
}

impl<I> ItemSender<I> {
    pub(crate) fn new(call: StreamHandle) -> ItemSender<I> {
        ItemSender { call, waiting: None, ended: false, items: PhantomData }
    }

    /// Ends the items.
    pub fn end(mut self) {
        self.send_end();
    }

    fn send_end(&mut self) {
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
    /// Sends an item as soon as there is credit for it.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the call has ended. That need not be a failure: a handler may stop reading early. The call's outcome
    /// is the reason. The other errors concern this item only, and the call continues.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping the future before it is ready sends nothing.
    pub async fn send(&mut self, item: &I) -> Result<(), SendError> {
        poll_fn(|context| self.poll_waiting(context)).await?;
        let item = encode(item)?;
        match poll_fn(|context| self.call.poll_send(context, &item)).await {
            true => Ok(()),
            false => Err(SendError::Closed),
        }
    }
}

fn encode<I: Serialize>(item: &I) -> Result<Bytes, SendError> {
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
        self.waiting = Some(encode(&item)?);
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_waiting(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        ready!(self.poll_waiting(context))?;
        self.send_end();
        Poll::Ready(Ok(()))
    }
}

impl<I> Drop for ItemSender<I> {
    fn drop(&mut self) {
        if !self.ended {
            self.call.cancel(CallError::sender_dropped);
        }
    }
}

impl<I> fmt::Debug for ItemSender<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemSender").field("ended", &self.ended).finish_non_exhaustive()
    }
}
