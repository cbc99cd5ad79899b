//! A call in the making, and its endings.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use bytes::Bytes;
use callboard_core::{
    body,
    client::{Timeout, TimeoutSource},
    time::Time,
    wire::{
        affinity::AffinityKey,
        envelope::{Effect, Priority},
        streams::Streams,
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::SemaphorePermit;

use crate::{
    answers::Answers,
    call_error::CallError,
    call_future::CallFuture,
    callbacks::Pending,
    item_sender::ItemSender,
    pipe::Stretch,
    reply_future::{Progress, ReplyFuture},
    reply_stream::ReplyStream,
    request::Request,
    responder::Responder,
    room::NoRoom,
    shared::Shared,
};

/// A call in the making: [`Client::call`](crate::Client::call) begins it, and one of its endings makes it.
///
/// | ending | the program | the outcome |
/// |---|---|---|
/// | `.await` | waits | is the value: `Result<T, CallError>` |
/// | [`on_complete`](Call::on_complete) | goes on | goes to a callback |
/// | [`cast`](Call::cast), [`cast_to_all`](Call::cast_to_all) | goes on | nobody wants it |
/// | [`on_progress`](Call::on_progress) | waits, and hears how far the handler is | is the value |
/// | [`stream`](Call::stream) | reads the items that the handler sends | is the items' end |
/// | [`upload`](Call::upload) | sends items to the handler | is the value |
/// | [`duplex`](Call::duplex) | does both | is the items' end |
///
/// The call's time-out begins when its ending is first polled, or with [`try_on_complete`](Call::try_on_complete) and [`try_cast`](Call::try_cast)
/// when they are called. It covers everything: waiting for room in the client, for a connection, for credit, for a worker, and the
/// run itself. In a handler a call that is awaited or called back has no more time than is left to the call that is served; a cast,
/// which nobody waits for, has its own. A name or arguments that cannot be sent are told by the ending, too, as INVALID_ARGUMENT.
///
/// ```no_run
/// use std::time::Duration;
/// use callboard_clients::{CallError, Client};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::connect("tcp://127.0.0.1:5559").await?;
/// let sum: i64 = client.call("calculator.add", (2, 3)).await?;
/// client
///     .call("calculator.add", (2, 3))
///     .timeout(Duration::from_secs(5))
///     .on_complete(|sum: Result<i64, CallError>| println!("{sum:?}"))
///     .await?;
/// client.call("log.write", ("hello",)).cast().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a call is made by one of its endings: .await, .on_complete(callback).await, .cast().await, .try_on_complete(callback), .try_cast()"]
#[derive(Debug)]
pub struct Call<T> {
    shared: Arc<Shared>,
    request: Result<Request, CallError>,
    result: PhantomData<fn() -> T>,
}

impl<T> Call<T> {
    pub(crate) fn new(shared: Arc<Shared>, request: Result<Request, CallError>) -> Call<T> {
        Call { shared, request, result: PhantomData }
    }

    /// How long it may take in all, in the place of the client's default. Zero is up at once.
    pub fn timeout(self, span: Duration) -> Call<T> {
        self.with(|request| request.timeout = Some(Timeout { span, source: TimeoutSource::Call }))
    }

    /// It may take as long as it takes. It still ends when its worker is lost, or the client is closed.
    pub fn no_timeout(self) -> Call<T> {
        self.with(|request| request.timeout = None)
    }

    /// Where no worker serves the service now, wait for a worker as long as the time-out allows. Without it such a call ends
    /// UNAVAILABLE at once (unless the service was served a moment ago).
    pub fn wait_for_ready(self) -> Call<T> {
        self.with(|request| request.wait_for_ready = true)
    }

    /// To every worker that serves the method and is not about to leave, once each: for caches that are to be reset, and for
    /// statistics. The call ends when all have answered, or at its time-out with the answers that there are. Each worker's failure is
    /// its own answer; the call itself fails only as any other does, such as UNAVAILABLE where no worker serves it.
    ///
    /// A worker without a free slot gets it when one is free and it is this client's turn there. Who is lost is not replaced: another
    /// worker has a part of its own. A broadcast has neither [`key`](Call::key) nor streams nor progress: with one of them it ends
    /// INVALID_ARGUMENT.
    ///
    /// ```no_run
    /// # async fn example(client: callboard_clients::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// for answer in client.call::<u64>("cache.entries", ()).broadcast().await? {
    ///     println!("{}: {:?}", answer.worker, answer.result);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn broadcast(self) -> Call<Answers<T>> {
        let call = self.with(|request| request.broadcast = true);
        Call::new(call.shared, call.request)
    }

    /// What this call may do to the world, where that is to be stricter than what the method's worker declared: with
    /// [`Effect::Once`] it is never run twice, and ends UNAVAILABLE if its worker or the broker is lost meanwhile.
    pub fn effect(self, effect: Effect) -> Call<T> {
        self.with(|request| request.effect = Some(effect))
    }

    /// Which calls it belongs to: of those with the same key of the same service only one runs at a time, in the order in which this
    /// client makes them, and all run on one worker, until that is lost or leaves. Calls of other keys, and those without one, run
    /// beside them. A key is a text of 1 to 128 bytes; another ends the call INVALID_ARGUMENT.
    ///
    /// ```no_run
    /// # async fn example(client: callboard_clients::Client) -> Result<(), callboard_clients::CallError> {
    /// let views: i64 = client.call("kvs.inc", ("views",)).key("views").await?;
    /// # drop(views);
    /// # Ok(())
    /// # }
    /// ```
    pub fn key(self, key: impl Into<String>) -> Call<T> {
        match AffinityKey::parse(key.into()) {
            Ok(key) => self.with(|request| request.key = Some(key)),
            // What was wrong first is told.
            Err(error) => Call::new(self.shared, self.request.and_then(|_| Err(CallError::bad_key(&error)))),
        }
    }

    /// How soon it is to have its turn, where it waits at the broker beside other calls of the same key (or address): none starves,
    /// and nobody else's calls wait for it.
    pub fn priority(self, priority: Priority) -> Call<T> {
        self.with(|request| request.priority = priority)
    }

    /// The same call, of whose result nobody wants to know the type.
    pub(crate) fn discarding(self) -> Call<()> {
        Call::new(self.shared, self.request)
    }

    /// Makes the call, and reads the items that its handler sends: for methods that are server streams.
    ///
    /// The call is made at once; where the client's queue is full, it waits for room there, as other calls do. A name or arguments that
    /// cannot be sent are told by the stream.
    pub fn stream<O>(self) -> ReplyStream<O> {
        ReplyStream::new(self.begin(Streams { to_caller: true, ..Streams::NONE }))
    }

    /// Makes the call, and sends its handler items: for methods that are client streams. The future is the call's reply.
    ///
    /// The call is made at once; what cannot be sent is told by the future. **Dropping the sender without
    /// [`end`](ItemSender::end) cancels the call.**
    ///
    /// ```no_run
    /// # async fn example(client: callboard_clients::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let (mut items, sum) = client.call::<i64>("calculator.sum", ()).upload::<i64>();
    /// for number in 1..=3 {
    ///     items.send(&number).await?;
    /// }
    /// items.end();
    /// assert_eq!(sum.await?, 6);
    /// # Ok(())
    /// # }
    /// ```
    pub fn upload<I>(self) -> (ItemSender<I>, ReplyFuture<T>) {
        let call = self.begin(Streams { from_caller: true, ..Streams::NONE });
        (ItemSender::new(call.share()), ReplyFuture::new(call, None))
    }

    /// Makes the call, sends its handler items, and reads those that it sends: for methods that are streams in both directions.
    /// See [`stream`](Call::stream) and [`upload`](Call::upload).
    pub fn duplex<I, O>(self) -> (ItemSender<I>, ReplyStream<O>) {
        let call = self.begin(Streams { to_caller: true, from_caller: true, progress: false });
        (ItemSender::new(call.share()), ReplyStream::new(call))
    }

    /// Makes the call, waits for its outcome, and tells `callback` how far the handler is, as often as that says so (ten times a
    /// second at most). It is told on the task that awaits the call, forward only, and never after the outcome.
    ///
    /// The call is made at once. A handler that tells nothing is no error.
    ///
    /// ```no_run
    /// # async fn example(client: callboard_clients::Client) -> Result<(), callboard_clients::CallError> {
    /// let report: String = client
    ///     .call("reports.make", (2026,))
    ///     .on_progress(|progress| println!("{} of {:?}", progress.done, progress.total))
    ///     .await?;
    /// # drop(report);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_progress(self, callback: impl FnMut(Progress) + Send + 'static) -> ReplyFuture<T> {
        let call = self.begin(Streams { progress: true, ..Streams::NONE });
        ReplyFuture::new(call, Some(Box::new(callback)))
    }

    /// Of a stream that comes faster than it is read, keep only the newest item: those before it that were not read are dropped
    /// ([`ReplyStream::dropped`]). Without a meaning for other calls.
    pub fn latest(self) -> Call<T> {
        self.with(|request| request.latest = true)
    }

    fn begin(self, streams: Streams) -> Stretch {
        let latest = self.request.as_ref().is_ok_and(|request| request.latest);
        let this = self.with(|request| request.streams = streams);
        Stretch::begin(this.shared, this.request, latest)
    }

    fn with(mut self, change: impl FnOnce(&mut Request)) -> Call<T> {
        if let Ok(request) = &mut self.request {
            change(request);
            if let Some(text) = request.contradiction() {
                self.request = Err(CallError::contradiction(text));
            }
        }
        self
    }
}

impl<T: DeserializeOwned + 'static> Call<T> {
    /// Makes the call and goes on; `callback` gets the outcome, on the client's own callback thread.
    ///
    /// Returns once the call is in the client's queue, and waits for room there. From then on the callback runs exactly once:
    /// with the result, with the error, with DEADLINE_EXCEEDED when the time is up (also where that happens while this
    /// waits for room in the queue), or with CANCELLED when the client is closed or its last handle dropped.
    ///
    /// Callbacks of a client run one after another, in the order of the outcomes. A slow one delays those behind it, and nothing
    /// else; a panicking one is logged and counted ([`Statistics::callbacks_panicked`](crate::Statistics)). A callback may make
    /// further calls; it should do so by [`try_on_complete`](Call::try_on_complete) and [`try_cast`](Call::try_cast), since what it waits
    /// for must not be another callback.
    ///
    /// # Errors
    /// The call was not made and the callback will not run: INVALID_ARGUMENT for a name or arguments that cannot be sent,
    /// FAILED_PRECONDITION if the client is closed, DEADLINE_EXCEEDED if
    /// [`callbacks_max`](crate::ClientBuilder::callbacks_max) callbacks were pending for as long as the call could wait.
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready takes the call back: the callback does not run. Afterwards the call goes on.
    pub async fn on_complete<F>(self, callback: F) -> Result<(), CallError>
    where
        F: FnOnce(Result<T, CallError>) + Send + 'static,
    {
        let (shared, request) = (self.shared, self.request?.begun());
        let (made, timeout) = (shared.clock.now(), request.timeout);
        let deadline = request.deadline(made);
        // The result is decoded there, on the callback thread: a large one holds up no heartbeat.
        let callback = move |outcome| callback(decode(outcome));
        let place = shared.callback(deadline).await.map_err(|reason| shared.no_callback(reason, timeout))?;
        match shared.queue(deadline).await {
            Ok(()) => send(&shared, request, made, Responder::Callback(pending(&shared, place, callback))),
            Err(NoRoom::TimedOut) => {
                let error = shared.no_queue(NoRoom::TimedOut, timeout);
                tell(&shared, pending(&shared, place, callback), error)
            }
            Err(reason) => Err(shared.no_queue(reason, timeout)),
        }
    }

    /// As [`on_complete`](Call::on_complete), but waits for nothing.
    ///
    /// # Errors
    /// As for [`on_complete`](Call::on_complete), and RESOURCE_EXHAUSTED if there is no room: the callback will not run.
    pub fn try_on_complete<F>(self, callback: F) -> Result<(), CallError>
    where
        F: FnOnce(Result<T, CallError>) + Send + 'static,
    {
        self.try_on_complete_encoded(move |outcome| callback(decode(outcome)))
    }
}

impl<T> Call<T> {
    /// As [`try_on_complete`](Call::try_on_complete), with a callback that gets the result as it travels.
    pub(crate) fn try_on_complete_encoded<F>(self, callback: F) -> Result<(), CallError>
    where
        F: FnOnce(Result<Bytes, CallError>) + Send + 'static,
    {
        let (shared, request) = (self.shared, self.request?.begun());
        let made = shared.clock.now();
        let place = shared.lines.callbacks.room.try_take().map_err(|reason| shared.no_callback(reason, None))?;
        shared.try_queue().map_err(|reason| shared.no_queue(reason, None))?;
        send(&shared, request, made, Responder::Callback(pending(&shared, place, callback)))
    }
}

impl Call<()> {
    /// Makes the call and goes on; nobody learns what becomes of it. What it meets (no worker, a full queue, an error of the
    /// handler) is counted and logged at the broker.
    ///
    /// Returns once the call is in the client's queue, and waits for room there.
    /// [`Client::close`](crate::Client::close) makes sure that it reaches the broker.
    ///
    /// # Errors
    /// It was not made: INVALID_ARGUMENT for a name or arguments that cannot be sent, FAILED_PRECONDITION if the client is closed,
    /// DEADLINE_EXCEEDED if there was no room for as long as the call could wait.
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready takes the call back.
    pub async fn cast(self) -> Result<(), CallError> {
        let (shared, request) = (self.shared, self.request?);
        let (made, timeout) = (shared.clock.now(), request.timeout);
        shared.queue(request.deadline(made)).await.map_err(|reason| shared.no_queue(reason, timeout))?;
        send(&shared, request.into_cast(), made, Responder::Nobody)
    }

    /// As [`cast`](Call::cast), to every worker that serves the method, as a [`broadcast`](Call::broadcast).
    ///
    /// # Errors
    /// As for [`cast`](Call::cast).
    ///
    /// # Cancel safety
    /// As for [`cast`](Call::cast).
    pub async fn cast_to_all(self) -> Result<(), CallError> {
        self.with(|request| request.broadcast = true).cast().await
    }

    /// As [`cast`](Call::cast), but waits for nothing.
    ///
    /// # Errors
    /// As for [`cast`](Call::cast), and RESOURCE_EXHAUSTED if there is no room.
    pub fn try_cast(self) -> Result<(), CallError> {
        let (shared, request) = (self.shared, self.request?);
        let made = shared.clock.now();
        shared.try_queue().map_err(|reason| shared.no_queue(reason, None))?;
        send(&shared, request.into_cast(), made, Responder::Nobody)
    }
}

impl<T: DeserializeOwned> IntoFuture for Call<T> {
    type Output = Result<T, CallError>;
    type IntoFuture = CallFuture<T>;

    fn into_future(self) -> CallFuture<T> {
        CallFuture::new(self.shared, self.request)
    }
}

/// The value that a call ended with, as its caller wants it.
pub(crate) fn decode<T: DeserializeOwned>(outcome: Result<Bytes, CallError>) -> Result<T, CallError> {
    body::decode(&outcome?).map_err(|error| CallError::bad_result::<T>(&error))
}

/// The callback, from now on to be run exactly once. Its place is given back when it has run.
fn pending<F>(shared: &Shared, place: SemaphorePermit<'_>, callback: F) -> Pending
where
    F: FnOnce(Result<Bytes, CallError>) + Send + 'static,
{
    place.forget();
    Pending::new(Box::new(callback), Arc::clone(&shared.lines.callbacks))
}

/// Tells a callback how its call ended before it was sent.
fn tell(shared: &Shared, pending: Pending, error: CallError) -> Result<(), CallError> {
    let mut jobs: Vec<_> = pending.with(Err(error)).into_iter().collect();
    shared.lines.callbacks.push(&mut jobs).map_err(|_closed| CallError::closed())
}

/// Sends a call that has its place in the queue. If the client is closed meanwhile, it was not made, and its callback does not run.
fn send(shared: &Shared, request: Request, made: Time, responder: Responder) -> Result<(), CallError> {
    match shared.send(request, made, responder) {
        Ok(_ticket) => return Ok(()),
        Err(Responder::Callback(pending)) => pending.withdraw(),
        Err(Responder::Await { .. } | Responder::Stream(_) | Responder::Nobody) => {}
    }
    Err(CallError::closed())
}
