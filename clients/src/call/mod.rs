//! Calls: their options, and the ways to end them.

pub(crate) mod answers;
pub(crate) mod decode;
pub(crate) mod future;
pub(crate) mod request;

use std::{marker::PhantomData, sync::Arc, time::Duration};

use bytes::Bytes;
use callboard_core::{
    client::{Timeout, TimeoutSource},
    time::Time,
    wire::{
        affinity::AffinityKey,
        envelope::{Effect, Priority},
        streams::{Streams, Style},
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::SemaphorePermit;

use self::{answers::Answers, decode::decode, future::CallFuture, request::Request};
use crate::{
    completion::{callbacks::PendingCallback, reply_sink::ReplySink},
    error::call_error::CallError,
    shared::{capacity::NoPermit, inner::ClientInner},
    stream::{
        handle::StreamHandle, item_sender::ItemSender, progress::Progress, reply_future::ReplyFuture,
        reply_stream::ReplyStream,
    },
};

/// A call with its options. [`Client::call`](crate::Client::call) creates it, and one of its endings makes it.
///
/// | ending | the program | the outcome |
/// |---|---|---|
/// | `.await` | waits | is returned: `Result<T, CallError>` |
/// | [`on_complete`](Call::on_complete) | continues | is passed to a callback |
/// | [`cast`](Call::cast), [`cast_to_all`](Call::cast_to_all) | continues | is dropped |
/// | [`on_progress`](Call::on_progress) | waits, and receives progress reports | is returned |
/// | [`stream`](Call::stream) | reads items of the handler | is the end of the items |
/// | [`upload`](Call::upload) | sends items to the handler | is returned |
/// | [`duplex`](Call::duplex) | sends and reads items | is the end of the items |
///
/// The call's timeout starts when its ending is first polled; with [`try_on_complete`](Call::try_on_complete) and
/// [`try_cast`](Call::try_cast) it starts when they are called. It includes everything: waiting for capacity in the client, for a
/// connection, for credit and for a worker, and the run of the handler. In a handler, a call that is awaited or has a callback gets at
/// most the time that the served call has left. A cast has its own timeout. An invalid name or arguments that cannot be encoded end
/// the call with INVALID_ARGUMENT.
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
    inner: Arc<ClientInner>,
    request: Result<Request, CallError>,
    result: PhantomData<fn() -> T>,
}

impl<T> Call<T> {
    pub(crate) fn new(inner: Arc<ClientInner>, request: Result<Request, CallError>) -> Call<T> {
        Call { inner, request, result: PhantomData }
    }

    /// Sets the timeout of the whole call, instead of the client's default. A timeout of zero passes at once.
    pub fn timeout(self, span: Duration) -> Call<T> {
        self.with(|request| request.timeout = Some(Timeout { span, source: TimeoutSource::Call }))
    }

    /// Removes the timeout. The call still ends when its worker is lost or the client is closed.
    pub fn no_timeout(self) -> Call<T> {
        self.with(|request| request.timeout = None)
    }

    /// Waits for a worker, within the timeout, if no worker serves the service now. Without this option such a call ends UNAVAILABLE
    /// at once, unless the service was served a moment ago.
    pub fn wait_for_ready(self) -> Call<T> {
        self.with(|request| request.wait_for_ready = true)
    }

    /// Sends the call once to every worker that serves the method and is not draining. Use it, for example, to reset caches or to
    /// collect statistics.
    ///
    /// The call ends when all workers have answered, or at its timeout with the answers that have arrived. A worker's failure is its own answer.
    /// The call itself fails as any other call does, for example with UNAVAILABLE if no worker serves the method.
    ///
    /// A worker without a free slot receives the call when one is free and fair scheduling reaches this client. A worker that is lost
    /// is not replaced, because every other worker has its own part. A broadcast with a [`key`](Call::key), streams or progress ends
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
        Call::new(call.inner, call.request)
    }

    /// Sets an effect that is stricter than the one that the method's worker declared. With [`Effect::Once`] the call never runs
    /// twice; it ends UNAVAILABLE if its worker or the broker is lost meanwhile.
    pub fn effect(self, effect: Effect) -> Call<T> {
        self.with(|request| request.effect = Some(effect))
    }

    /// Sets the affinity key. Calls with the same key of the same service run one at a time, in the order in which this client makes
    /// them. All run on one worker until it is lost or leaves. Calls with other keys, or without one, run concurrently. A key is a
    /// text of 1 to 128 bytes; any other ends the call INVALID_ARGUMENT.
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
            // The first error counts.
            Err(error) => Call::new(self.inner, self.request.and_then(|_| Err(CallError::invalid_key(&error)))),
        }
    }

    /// Sets the priority among the queued calls of the same authkey, or of the same address without one. No priority starves, and
    /// calls of other tenants are not affected.
    pub fn priority(self, priority: Priority) -> Call<T> {
        self.with(|request| request.priority = priority)
    }

    /// Returns the same call without its result type.
    pub(crate) fn without_result(self) -> Call<()> {
        Call::new(self.inner, self.request)
    }

    /// Makes the call and reads the items that its handler sends, for server streaming methods.
    ///
    /// The call is made at once; if the client's queue is full, it waits for capacity as other calls do. Errors, such as an invalid
    /// name, are returned by the stream.
    pub fn stream<O>(self) -> ReplyStream<O> {
        ReplyStream::new(self.start(Streams { style: Style::Server, ..Streams::NONE }))
    }

    /// Makes the call and sends items to its handler, for client streaming methods. The future is the call's reply.
    ///
    /// The call is made at once; errors, such as an invalid name, are returned by the future. **Dropping the sender without
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
        let call = self.start(Streams { style: Style::Client, ..Streams::NONE });
        (ItemSender::new(call.share()), ReplyFuture::new(call, None))
    }

    /// Makes the call, sends items to its handler and reads the items that the handler sends, for bidirectional streaming methods.
    /// See [`stream`](Call::stream) and [`upload`](Call::upload).
    pub fn duplex<I, O>(self) -> (ItemSender<I>, ReplyStream<O>) {
        let call = self.start(Streams { style: Style::Bidi, progress: false });
        (ItemSender::new(call.share()), ReplyStream::new(call))
    }

    /// Makes the call, and passes the handler's progress reports to `callback` while the returned future is awaited.
    ///
    /// The callback runs on the task that awaits the future, at most ten times a second, and never after the outcome. The reported
    /// progress never decreases. The call is made at once. A handler that reports no progress is not an error.
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
        let call = self.start(Streams { progress: true, ..Streams::NONE });
        ReplyFuture::new(call, Some(Box::new(callback)))
    }

    /// Keeps only the newest unread item of a reply stream. Older unread items are dropped ([`ReplyStream::dropped`]). Has no effect
    /// on other calls.
    pub fn conflate(self) -> Call<T> {
        self.with(|request| request.conflate = true)
    }

    fn start(self, streams: Streams) -> StreamHandle {
        let conflate = self.request.as_ref().is_ok_and(|request| request.conflate);
        let this = self.with(|request| request.streams = streams);
        StreamHandle::start(this.inner, this.request, conflate)
    }

    fn with(mut self, change: impl FnOnce(&mut Request)) -> Call<T> {
        if let Ok(request) = &mut self.request {
            change(request);
            if let Some(text) = request.conflict() {
                self.request = Err(CallError::conflicting_options(text));
            }
        }
        self
    }
}

impl<T: DeserializeOwned + 'static> Call<T> {
    /// Makes the call and registers `callback` for its outcome. The callback runs on the client's callback thread.
    ///
    /// Returns once the call is in the client's queue, and waits for capacity there. From then on the callback runs exactly once:
    ///
    /// - with the result or the error of the call;
    /// - with DEADLINE_EXCEEDED when the timeout passes, also while this method waits for capacity in the queue;
    /// - with CANCELLED when the client is closed or its last handle is dropped.
    ///
    /// The callbacks of a client run one after another, in the order of the outcomes. A slow callback delays those behind it and
    /// nothing else. A callback that panics is logged and counted ([`Statistics::callbacks_panicked`](crate::Statistics)). A callback
    /// may make calls; it should use [`try_on_complete`](Call::try_on_complete) and [`try_cast`](Call::try_cast), because it must not
    /// wait for another callback.
    ///
    /// # Errors
    /// The call was not made and the callback does not run. INVALID_ARGUMENT if the name is invalid or the arguments cannot be
    /// encoded; FAILED_PRECONDITION if the client is closed; DEADLINE_EXCEEDED if
    /// [`callbacks_max`](crate::ClientBuilder::callbacks_max) callbacks were pending until the timeout.
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready withdraws the call, and the callback does not run. Afterwards the call continues.
    pub async fn on_complete<F>(self, callback: F) -> Result<(), CallError>
    where
        F: FnOnce(Result<T, CallError>) + Send + 'static,
    {
        let (inner, request) = (self.inner, self.request?.limited_to_served_call());
        let (created, timeout) = (inner.clock.now(), request.timeout);
        let deadline = request.deadline(created);
        // The callback thread decodes the result, so that a large one delays no heartbeat.
        let callback = move |outcome| callback(decode(outcome));
        let permit = inner.reserve_callback(deadline).await.map_err(|reason| inner.callback_error(reason, timeout))?;
        match inner.reserve(deadline).await {
            Ok(()) => send(&inner, request, created, ReplySink::Callback(pending(&inner, permit, callback))),
            Err(NoPermit::TimedOut) => {
                let error = inner.queue_error(NoPermit::TimedOut, timeout);
                complete(&inner, pending(&inner, permit, callback), error)
            }
            Err(reason) => Err(inner.queue_error(reason, timeout)),
        }
    }

    /// Makes the call as [`on_complete`](Call::on_complete) does, but does not wait for capacity.
    ///
    /// # Errors
    /// As for [`on_complete`](Call::on_complete), and RESOURCE_EXHAUSTED if there is no capacity. The callback does not run.
    pub fn try_on_complete<F>(self, callback: F) -> Result<(), CallError>
    where
        F: FnOnce(Result<T, CallError>) + Send + 'static,
    {
        self.try_on_complete_encoded(move |outcome| callback(decode(outcome)))
    }
}

impl<T> Call<T> {
    /// Makes the call as [`try_on_complete`](Call::try_on_complete) does, with a callback that receives the encoded
    /// result.
    pub(crate) fn try_on_complete_encoded<F>(self, callback: F) -> Result<(), CallError>
    where
        F: FnOnce(Result<Bytes, CallError>) + Send + 'static,
    {
        let (inner, request) = (self.inner, self.request?.limited_to_served_call());
        let created = inner.clock.now();
        let callbacks = &inner.channels.callbacks.capacity;
        let permit = callbacks.try_acquire().map_err(|reason| inner.callback_error(reason, None))?;
        inner.try_reserve().map_err(|reason| inner.queue_error(reason, None))?;
        send(&inner, request, created, ReplySink::Callback(pending(&inner, permit, callback)))
    }
}

impl Call<()> {
    /// Sends a one-way call: its outcome is dropped. Failures (no worker, a full queue, an error of the handler) are counted and
    /// logged at the broker.
    ///
    /// Returns once the call is in the client's queue, and waits for capacity there.
    /// [`Client::close`](crate::Client::close) ensures that it reaches the broker.
    ///
    /// # Errors
    /// The call was not made. INVALID_ARGUMENT if the name is invalid or the arguments cannot be encoded; FAILED_PRECONDITION if the
    /// client is closed; DEADLINE_EXCEEDED if there was no capacity until the timeout.
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready withdraws the call.
    pub async fn cast(self) -> Result<(), CallError> {
        let (inner, request) = (self.inner, self.request?);
        let (created, timeout) = (inner.clock.now(), request.timeout);
        inner.reserve(request.deadline(created)).await.map_err(|reason| inner.queue_error(reason, timeout))?;
        send(&inner, request.into_cast(), created, ReplySink::Discard)
    }

    /// Sends a one-way call, as [`cast`](Call::cast), to every worker that serves the method, as a
    /// [`broadcast`](Call::broadcast).
    ///
    /// # Errors
    /// As for [`cast`](Call::cast).
    ///
    /// # Cancel safety
    /// As for [`cast`](Call::cast).
    pub async fn cast_to_all(self) -> Result<(), CallError> {
        self.with(|request| request.broadcast = true).cast().await
    }

    /// Sends a one-way call as [`cast`](Call::cast) does, but does not wait for capacity.
    ///
    /// # Errors
    /// As for [`cast`](Call::cast), and RESOURCE_EXHAUSTED if there is no capacity.
    pub fn try_cast(self) -> Result<(), CallError> {
        let (inner, request) = (self.inner, self.request?);
        let created = inner.clock.now();
        inner.try_reserve().map_err(|reason| inner.queue_error(reason, None))?;
        send(&inner, request.into_cast(), created, ReplySink::Discard)
    }

    /// Sends the call as a cast to all workers of the method, as [`Call::cast_to_all`] does, or fails if the client's queue is full.
    ///
    /// # Errors
    /// Those of [`Call::try_cast`].
    pub fn try_cast_to_all(self) -> Result<(), CallError> {
        self.with(|request| request.broadcast = true).try_cast()
    }
}

impl<T: DeserializeOwned> IntoFuture for Call<T> {
    type Output = Result<T, CallError>;
    type IntoFuture = CallFuture<T>;

    fn into_future(self) -> CallFuture<T> {
        CallFuture::new(self.inner, self.request)
    }
}

/// Creates a pending callback, which runs exactly once. Its permit is released when it has run.
fn pending<F>(inner: &ClientInner, permit: SemaphorePermit<'_>, callback: F) -> PendingCallback
where
    F: FnOnce(Result<Bytes, CallError>) + Send + 'static,
{
    permit.forget();
    PendingCallback::new(Box::new(callback), Arc::clone(&inner.channels.callbacks))
}

/// Completes a call that was not sent with an error.
fn complete(inner: &ClientInner, callback: PendingCallback, error: CallError) -> Result<(), CallError> {
    let mut callbacks: Vec<_> = callback.into_ready(Err(error)).into_iter().collect();
    inner.channels.callbacks.push(&mut callbacks).map_err(|_closed| CallError::client_closed())
}

/// Sends a call that has its permit of the queue. If the client is closed meanwhile, the call is not made and its callback does not
/// run.
fn send(inner: &ClientInner, request: Request, created: Time, sink: ReplySink) -> Result<(), CallError> {
    match inner.send(request, created, sink) {
        Ok(_ticket) => return Ok(()),
        Err(ReplySink::Callback(callback)) => callback.withdraw(),
        Err(ReplySink::Future { .. } | ReplySink::Stream(_) | ReplySink::Discard) => {}
    }
    Err(CallError::client_closed())
}
