//! The items that a handler sends to its caller.

use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context as TaskContext, Poll, ready},
};

use bytes::Bytes;
use callboard_core::wire::{
    limits::ITEM_BYTES_MAX,
    status::{Code, Failure},
};
use futures::Stream;
use tokio::task::coop::consume_budget;

use super::channel::StreamChannel;
use crate::outcome::{Error, IntoOutcome, Outcome, encode};

/// The maximum number of items that one poll takes from a stream that is always ready, when it conflates its items.
const ITEMS_PER_POLL_MAX: usize = 64;

/// The items that an async function sends to its caller. A function that returns an `Outgoing` is a server-streaming method.
///
/// It wraps any stream whose items are valid return values ([`IntoOutcome`]): a plain value, `Reply(value)` around another serde type,
/// or a `Result`, whose error ends the call. The stream is polled only while the caller has granted credit: a caller that does not
/// read applies backpressure after 1,024 items or 256 KiB. The stream is dropped when the call is cancelled.
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
/// A blocking function cannot return a stream:
///
/// ```compile_fail
/// # use callboard_workers::{Outgoing, Service};
/// # use futures::stream;
/// Service::new("numbers").read("count", ["to"], |to: u64| Outgoing::new(stream::iter(1..=to)));
/// ```
pub struct Outgoing<S> {
    stream: S,
    conflate: bool,
}

impl<S> Outgoing<S> {
    /// Sends all items of a stream, in order.
    pub fn new(stream: S) -> Outgoing<S> {
        Outgoing { stream, conflate: false }
    }

    /// Sends the newest items of a stream. If the caller reads more slowly than items are produced, newer items replace unread ones, and
    /// the replaced items are counted (`ReplyStream::dropped` in the client library). The last item always arrives.
    pub fn conflated(stream: S) -> Outgoing<S> {
        Outgoing { stream, conflate: true }
    }

    /// Replaces the stream.
    pub(crate) fn map_stream<T>(self, change: impl FnOnce(S) -> T) -> Outgoing<T> {
        Outgoing { stream: change(self.stream), conflate: self.conflate }
    }
}

impl<S> From<S> for Outgoing<S> {
    fn from(stream: S) -> Outgoing<S> {
        Outgoing::new(stream)
    }
}

impl<S> fmt::Debug for Outgoing<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("conflate", &self.conflate).finish_non_exhaustive()
    }
}

impl<S: Stream> Outgoing<S> {
    /// Sends the items to the caller. Returns the outcome of the call: the unit value, or the failure of an item.
    pub(super) async fn send<K>(self, channel: Arc<StreamChannel>) -> Outcome
    where
        S::Item: IntoOutcome<K>,
    {
        match self.conflate {
            true => send_newest(self.stream, channel).await,
            false => send_all(self.stream, channel).await,
        }
    }
}

/// Sends each item when there is credit for it.
async fn send_all<K, S: Stream<Item: IntoOutcome<K>>>(stream: S, channel: Arc<StreamChannel>) -> Outcome {
    let mut stream = pin!(stream);
    // The item is encoded inside the poll that yields it, because its type need not be `Send`.
    while let Some(item) = poll_fn(|task| stream.as_mut().poll_next(task).map(|item| item.map(encode_item))).await {
        let item = item?;
        poll_fn(|task| channel.poll_send(task, None, &item)).await;
        // A stream that is always ready need not wait while its reader is fast: let other tasks of the runtime run as well.
        consume_budget().await;
    }
    encode(&())
}

/// Sends the newest item when there is credit for it.
async fn send_newest<K, S: Stream<Item: IntoOutcome<K>>>(stream: S, channel: Arc<StreamChannel>) -> Outcome {
    let mut stream = pin!(stream);
    let mut newest = Newest { item: None, dropped: 0, ended: false };
    poll_fn(|task| newest.poll(stream.as_mut(), &channel, task)).await?;
    encode(&())
}

/// The newest item, which waits for credit.
struct Newest {
    item: Option<Bytes>,
    /// How many items were replaced by newer ones.
    dropped: u64,
    ended: bool,
}

impl Newest {
    fn poll<K, S: Stream<Item: IntoOutcome<K>>>(
        &mut self,
        mut stream: Pin<&mut S>,
        channel: &Arc<StreamChannel>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Result<(), Box<Failure>>> {
        for _ in 0..ITEMS_PER_POLL_MAX {
            if let Some(item) = &self.item
                && channel.poll_send(task, Some(self.dropped), item).is_ready()
            {
                self.item = None;
            }
            if self.ended {
                return if self.item.is_none() { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
            match ready!(stream.as_mut().poll_next(task)) {
                Some(item) => self.dropped += u64::from(self.item.replace(encode_item(item)?).is_some()),
                None => self.ended = true,
            }
        }
        // The stream is always ready: yield, so that other tasks can run.
        task.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Encodes an item, and checks its size.
fn encode_item<K>(item: impl IntoOutcome<K>) -> Outcome {
    let body = item.into_outcome()?;
    check_item(&body).map_err(|error| Box::new(error.into_failure()))?;
    Ok(body)
}

/// Checks the size of an encoded item.
///
/// # Errors
/// RESOURCE_EXHAUSTED if the item is too large.
pub(crate) fn check_item(item: &Bytes) -> Result<(), Error> {
    if item.len() as u64 <= ITEM_BYTES_MAX {
        return Ok(());
    }
    let text = format!("an item has {} bytes, more than the maximum of {ITEM_BYTES_MAX}", item.len());
    Err(Error::new(Code::ResourceExhausted, text))
}

#[cfg(test)]
mod tests {
    use callboard_core::{
        wire::{
            ids::{CallId, CallNumber, ConnectionNumber, DispatchNumber},
            streams::{ItemCredit, Streams, Style},
        },
        worker::{Job, JobId},
    };
    use callboard_transport::BatchQueue;
    use futures::{StreamExt, stream};
    use tokio::task::yield_now;

    use super::{super::channel::StreamCommands, *};

    fn job() -> Job {
        Job {
            id: JobId { connection: ConnectionNumber(1), dispatch: DispatchNumber(1) },
            offer: 0,
            method: 0,
            call: CallId { caller: 0, number: CallNumber(1) },
            caller_name: None,
            attempt: 1,
            deadline: None,
            affinity: None,
            streams: Streams { style: Style::Server, ..Streams::NONE },
            extensions: Default::default(),
            body: Bytes::new(),
        }
    }

    #[tokio::test]
    async fn other_tasks_run_beside_a_stream_that_is_always_ready_and_has_credit() {
        let commands = StreamCommands::new(Arc::new(BatchQueue::default()));
        let channel = StreamChannel::for_job(&job(), &commands).expect("the job has a stream");
        channel.grant(ItemCredit { items: u32::MAX, bytes: u64::MAX });
        let items = stream::repeat(7_u64).take(100_000);
        let sending = tokio::spawn(send_all(items, Arc::clone(&channel)));
        yield_now().await;
        assert!(!channel.take_outgoing().0.is_empty(), "items were sent");
        assert!(!sending.is_finished(), "the stream gave up the thread before its end");
        assert!(sending.await.is_ok_and(|outcome| outcome.is_ok()), "all items were sent");
    }
}
