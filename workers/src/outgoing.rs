//! Items that a function sends to its caller, and what an async function may return.

use std::{
    fmt::{self, Display},
    future::{Future, poll_fn, ready as at_once},
    marker::PhantomData,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context as Task, Poll, ready},
};

use bytes::Bytes;
use callboard_core::wire::{
    limits::ITEM_BYTES_MAX,
    status::{Code, Executed, Failure},
};
use futures::Stream;
use serde::Serialize;

use crate::{
    answer::{Answer, Error, Outcome, encoded},
    line::Line,
};

/// Items that are drawn from a stream before it gives way, where it is always ready and only the newest counts.
const DRAWN_MAX: usize = 64;

/// The items that an async function sends to its caller: return it, and the method is a server stream.
///
/// Around any stream whose items are what a function may return ([`Answer`]): a plain value, `Reply(value)` around a type of your own,
/// or a `Result`, whose error ends the call. The stream is polled only while there is room for its items: a caller that does not
/// read holds it back, at 64 items or 256 KiB on their way. It is dropped when the caller gives up.
///
/// ```
/// use callboard_workers::{Outgoing, Service};
/// use futures::{Stream, stream};
///
/// async fn count(to: u64) -> Outgoing<impl Stream<Item = u64>> {
///     Outgoing::new(stream::iter(1..=to))
/// }
///
/// let service = Service::new("numbers").read("count", ["to"], count);
/// # drop(service);
/// ```
///
/// A blocking function cannot be a stream:
///
/// ```compile_fail
/// # use callboard_workers::{Outgoing, Service};
/// # use futures::stream;
/// Service::new("numbers").read("count", ["to"], |to: u64| Outgoing::new(stream::iter(1..=to)));
/// ```
pub struct Outgoing<S> {
    stream: S,
    latest: bool,
}

impl<S> Outgoing<S> {
    /// All items of a stream, each of them in its turn.
    pub fn new(stream: S) -> Outgoing<S> {
        Outgoing { stream, latest: false }
    }

    /// The newest items of a stream: for a caller that reads more slowly than items come, those that were not read are dropped in
    /// favour of the newest, and counted (`ReplyStream::dropped` in the client library). The last item always arrives.
    pub fn latest(stream: S) -> Outgoing<S> {
        Outgoing { stream, latest: true }
    }

    /// The same with another stream.
    pub(crate) fn with<T>(self, change: impl FnOnce(S) -> T) -> Outgoing<T> {
        Outgoing { stream: change(self.stream), latest: self.latest }
    }
}

impl<S> From<S> for Outgoing<S> {
    fn from(stream: S) -> Outgoing<S> {
        Outgoing::new(stream)
    }
}

impl<S> fmt::Debug for Outgoing<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("latest", &self.latest).finish_non_exhaustive()
    }
}

/// What an async function may return: an [`Answer`], an [`Outgoing`] stream, or a `Result` of one.
///
/// `M` tells the compiler which of these it is; it is never written.
#[diagnostic::on_unimplemented(
    message = "a served function cannot return `{Self}`",
    note = "return a plain value, `Result<T, E>` with `T: Serialize` and `E: Serialize + Display`, `Reply(value)`, or `Outgoing` around a stream of such"
)]
pub trait Delivery<M> {
    /// Whether items come before the outcome.
    #[doc(hidden)]
    const HAS_ITEMS: bool;

    /// Sends the items, and returns the outcome.
    #[doc(hidden)]
    fn deliver(self, line: Option<Arc<Line>>) -> impl Future<Output = Outcome> + Send;
}

/// `M` of an answer.
#[doc(hidden)]
#[derive(Debug)]
pub struct Single<K>(PhantomData<K>);

/// `M` of items.
#[doc(hidden)]
#[derive(Debug)]
pub struct Items<K>(PhantomData<K>);

/// `M` of items or an error of the function's own.
#[doc(hidden)]
#[derive(Debug)]
pub struct ItemsOrOwn<K>(PhantomData<K>);

/// `M` of items or an [`Error`].
#[doc(hidden)]
#[derive(Debug)]
pub struct ItemsOrError<K>(PhantomData<K>);

impl<K, R: Answer<K>> Delivery<Single<K>> for R {
    const HAS_ITEMS: bool = false;

    fn deliver(self, _line: Option<Arc<Line>>) -> impl Future<Output = Outcome> + Send {
        at_once(self.into_outcome())
    }
}

impl<K, S> Delivery<Items<K>> for Outgoing<S>
where
    S: Stream<Item: Answer<K>> + Send,
{
    const HAS_ITEMS: bool = true;

    async fn deliver(self, line: Option<Arc<Line>>) -> Outcome {
        // A worker runs a function only in the style that it has.
        let Some(line) = line else { return encoded(&()) };
        match self.latest {
            true => send_latest(self.stream, line).await,
            false => send_all(self.stream, line).await,
        }
    }
}

impl<K, S, E> Delivery<ItemsOrOwn<K>> for Result<Outgoing<S>, E>
where
    S: Stream<Item: Answer<K>> + Send,
    E: Serialize + Display + Send,
{
    const HAS_ITEMS: bool = true;

    async fn deliver(self, line: Option<Arc<Line>>) -> Outcome {
        match self {
            Ok(items) => items.deliver(line).await,
            Err(error) => Err(Box::new(Error::from_own(Code::Unknown, &error).into_failure())),
        }
    }
}

impl<K, S> Delivery<ItemsOrError<K>> for Result<Outgoing<S>, Error>
where
    S: Stream<Item: Answer<K>> + Send,
{
    const HAS_ITEMS: bool = true;

    async fn deliver(self, line: Option<Arc<Line>>) -> Outcome {
        match self {
            Ok(items) => items.deliver(line).await,
            Err(error) => Err(Box::new(error.into_failure())),
        }
    }
}

/// Sends each item when there is room for it.
async fn send_all<K, S: Stream<Item: Answer<K>>>(stream: S, line: Arc<Line>) -> Outcome {
    let mut stream = pin!(stream);
    // Encoded in the poll that gives it: what an item is made of need not be fit for another thread.
    while let Some(item) = poll_fn(|task| stream.as_mut().poll_next(task).map(|item| item.map(sendable))).await {
        let item = item?;
        poll_fn(|task| line.poll_send(task, None, &item)).await;
    }
    encoded(&())
}

/// Sends the newest item when there is room for it.
async fn send_latest<K, S: Stream<Item: Answer<K>>>(stream: S, line: Arc<Line>) -> Outcome {
    let mut stream = pin!(stream);
    let mut newest = Newest { item: None, dropped: 0, ended: false };
    poll_fn(|task| newest.poll(stream.as_mut(), &line, task)).await?;
    encoded(&())
}

/// The one item that waits for room.
struct Newest {
    item: Option<Bytes>,
    /// How many were dropped in favour of later ones.
    dropped: u64,
    ended: bool,
}

impl Newest {
    fn poll<K, S: Stream<Item: Answer<K>>>(
        &mut self,
        mut stream: Pin<&mut S>,
        line: &Line,
        task: &mut Task<'_>,
    ) -> Poll<Result<(), Box<Failure>>> {
        for _ in 0..DRAWN_MAX {
            if let Some(item) = &self.item
                && line.poll_send(task, Some(self.dropped), item).is_ready()
            {
                self.item = None;
            }
            if self.ended {
                return if self.item.is_none() { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
            match ready!(stream.as_mut().poll_next(task)) {
                Some(item) => self.dropped += u64::from(self.item.replace(sendable(item)?).is_some()),
                None => self.ended = true,
            }
        }
        // It is always ready: others are to run, too.
        task.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The item's body, if it can be sent.
fn sendable<K>(item: impl Answer<K>) -> Outcome {
    let body = item.into_outcome()?;
    if body.len() as u64 > ITEM_BYTES_MAX {
        let text = format!("an item has {} bytes, and an item has at most {ITEM_BYTES_MAX}", body.len());
        return Err(Box::new(Failure::new(Code::ResourceExhausted, Executed::Yes, text)));
    }
    Ok(body)
}
