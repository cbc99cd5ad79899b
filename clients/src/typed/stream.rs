//! The streams of a stub's methods, with the item and error types of the trait.

use std::{
    fmt,
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::Stream;
use serde::de::DeserializeOwned;

use super::{
    call::TypedCall,
    failure::{CallFailure, typed},
    reply::TypedReply,
    style,
};
use crate::{
    call::Call,
    stream::{item_sender::ItemSender, reply_stream::ReplyStream},
};

/// The stream of a stub method's items: `Result<T, F>`. As [`ReplyStream`] in its end, its buffer and its cancel safety.
#[must_use = "dropping a stream cancels its call"]
pub struct TypedStream<T, F> {
    items: ReplyStream<T>,
    error_type: &'static str,
    failure: PhantomData<fn() -> F>,
}

impl<T, F> TypedCall<T, F, style::ServerStreaming> {
    /// Keeps only the newest unread item, as [`Call::conflate`].
    pub fn conflate(self) -> Self {
        self.with(Call::conflate)
    }

    /// Makes the call and reads the items that its handler sends. As [`Call::stream`].
    pub fn stream(self) -> TypedStream<T, F> {
        TypedStream::new(self.call.stream(), self.error_type)
    }
}

impl<T, F, I> TypedCall<T, F, style::ClientStreaming<I>> {
    /// Makes the call and sends items to its handler; the future is the call's reply. As [`Call::upload`].
    pub fn upload(self) -> (ItemSender<I>, TypedReply<T, F>) {
        let (items, reply) = self.call.upload();
        (items, TypedReply::new(reply, self.error_type))
    }
}

impl<T, F, I> TypedCall<T, F, style::BidiStreaming<I>> {
    /// Keeps only the newest unread item, as [`Call::conflate`].
    pub fn conflate(self) -> Self {
        self.with(Call::conflate)
    }

    /// Makes the call, sends items to its handler and reads the items that the handler sends. As [`Call::duplex`].
    pub fn duplex(self) -> (ItemSender<I>, TypedStream<T, F>) {
        let (sender, items) = self.call.duplex();
        (sender, TypedStream::new(items, self.error_type))
    }
}

impl<T, F> TypedStream<T, F> {
    fn new(items: ReplyStream<T>, error_type: &'static str) -> TypedStream<T, F> {
        TypedStream { items, error_type, failure: PhantomData }
    }

    /// Returns the number of dropped items, as [`ReplyStream::dropped`].
    pub fn dropped(&self) -> u64 {
        self.items.dropped()
    }

    /// Returns the size of the buffered items, as [`ReplyStream::unread_bytes`].
    pub fn unread_bytes(&self) -> u64 {
        self.items.unread_bytes()
    }
}

impl<T: DeserializeOwned, F: CallFailure> TypedStream<T, F> {
    /// Returns the next item, or `None` after the last one. The same as `StreamExt::next`, without an import.
    ///
    /// # Errors
    /// The error that ended the call, as the last item.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping the future loses no item.
    pub async fn next(&mut self) -> Option<Result<T, F>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl<T: DeserializeOwned, F: CallFailure> Stream for TypedStream<T, F> {
    type Item = Result<T, F>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.items).poll_next(context));
        Poll::Ready(item.map(|item| typed(item, self.error_type)))
    }
}

impl<T, F> fmt::Debug for TypedStream<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedStream").finish_non_exhaustive()
    }
}
