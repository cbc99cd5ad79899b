//! Streams of a stub's methods: their items and failures have the types that the trait gives them.

use std::{
    fmt,
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::Stream;
use serde::de::DeserializeOwned;

use crate::{
    call::Call,
    item_sender::ItemSender,
    reply_future::ReplyFuture,
    reply_stream::ReplyStream,
    style,
    typed::{CallFailure, TypedCall, typed},
};

/// The items that a stub's method sends: a stream of `Result<T, F>`. As [`ReplyStream`], in how it ends, what it holds, and what
/// dropping it does.
#[must_use = "dropping a stream cancels its call"]
pub struct TypedStream<T, F> {
    items: ReplyStream<T>,
    own: &'static str,
    failure: PhantomData<fn() -> F>,
}

/// The outcome of a stub's call that has more than an outcome: items to its handler, or progress. As [`ReplyFuture`], in what dropping
/// it does.
#[must_use = "futures do nothing unless they are polled, and dropping this one cancels its call"]
pub struct TypedReply<T, F> {
    reply: ReplyFuture<T>,
    own: &'static str,
    failure: PhantomData<fn() -> F>,
}

impl<T, F> TypedCall<T, F, style::ServerStreaming> {
    /// As [`Call::latest`].
    pub fn latest(self) -> Self {
        self.with(Call::latest)
    }

    /// Makes the call, and reads the items that its handler sends. As [`Call::stream`].
    pub fn stream(self) -> TypedStream<T, F> {
        TypedStream::new(self.call.stream(), self.own)
    }
}

impl<T, F, I> TypedCall<T, F, style::ClientStreaming<I>> {
    /// Makes the call, and sends its handler items; the future is the call's reply. As [`Call::upload`].
    pub fn upload(self) -> (ItemSender<I>, TypedReply<T, F>) {
        let (items, reply) = self.call.upload();
        (items, TypedReply::new(reply, self.own))
    }
}

impl<T, F, I> TypedCall<T, F, style::BidiStreaming<I>> {
    /// As [`Call::latest`].
    pub fn latest(self) -> Self {
        self.with(Call::latest)
    }

    /// Makes the call, sends its handler items, and reads those that it sends. As [`Call::duplex`].
    pub fn duplex(self) -> (ItemSender<I>, TypedStream<T, F>) {
        let (sender, items) = self.call.duplex();
        (sender, TypedStream::new(items, self.own))
    }
}

impl<T, F> TypedStream<T, F> {
    fn new(items: ReplyStream<T>, own: &'static str) -> TypedStream<T, F> {
        TypedStream { items, own, failure: PhantomData }
    }

    /// As [`ReplyStream::dropped`].
    pub fn dropped(&self) -> u64 {
        self.items.dropped()
    }

    /// As [`ReplyStream::unread_bytes`].
    pub fn unread_bytes(&self) -> u64 {
        self.items.unread_bytes()
    }
}

impl<T: DeserializeOwned, F: CallFailure> TypedStream<T, F> {
    /// The next item; `None` after the last one. (The same as `StreamExt::next`, without an import.)
    ///
    /// # Errors
    /// The call's, as the last item: the method's own error as what it was.
    ///
    /// # Cancel safety
    /// Dropping the future loses no item.
    pub async fn next(&mut self) -> Option<Result<T, F>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl<T: DeserializeOwned, F: CallFailure> Stream for TypedStream<T, F> {
    type Item = Result<T, F>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.items).poll_next(context));
        Poll::Ready(item.map(|item| typed(item, self.own)))
    }
}

impl<T, F> TypedReply<T, F> {
    pub(crate) fn new(reply: ReplyFuture<T>, own: &'static str) -> TypedReply<T, F> {
        TypedReply { reply, own, failure: PhantomData }
    }
}

impl<T: DeserializeOwned, F: CallFailure> Future for TypedReply<T, F> {
    type Output = Result<T, F>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.reply).poll(context));
        Poll::Ready(typed(outcome, self.own))
    }
}

impl<T, F> fmt::Debug for TypedStream<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedStream").finish_non_exhaustive()
    }
}

impl<T, F> fmt::Debug for TypedReply<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedReply").finish_non_exhaustive()
    }
}
