//! The future of an awaited call.

use std::{
    fmt,
    marker::PhantomData,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use callboard_core::{client::Ticket, time::Time};
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::{decode::decode, request::Request};
use crate::{
    completion::reply_sink::ReplySink,
    error::call_error::CallError,
    shared::{capacity::NoPermit, command::Command, inner::ClientInner},
};

/// The future of an awaited call. A [`Call`](crate::Call) becomes one by `.await`, or by [`IntoFuture::into_future`] for a program
/// that stores it, for example in a `FuturesUnordered`.
///
/// The first poll makes the call. It runs on any executor. It counts as a handle of its client: the client is not closed
/// automatically while a call is awaited.
///
/// # Panics
/// If it is polled again after it was ready.
///
/// # Cancel safety
/// Dropping the future cancels the call, including its handler: a handler that has not started never starts, and an async one is
/// dropped at its next await. The program does not learn whether it had started.
#[must_use = "futures do nothing unless they are polled"]
pub struct CallFuture<T> {
    inner: Arc<ClientInner>,
    state: State,
    result: PhantomData<fn() -> T>,
}

/// The state of the call.
enum State {
    /// The future was never polled.
    New(Result<Request, CallError>),
    /// The client's queue is full.
    Reserving(Reserving),
    /// The I/O thread has the call.
    Sent { ticket: Ticket, outcome: oneshot::Receiver<Result<Bytes, CallError>> },
    /// The outcome was returned.
    Done,
}

/// Waits for a permit of the queue. The permit is already forgotten, and the call is sent in the same poll.
type Reserving = Pin<Box<dyn Future<Output = Result<(Request, Time), CallError>> + Send>>;

impl<T> CallFuture<T> {
    pub(crate) fn new(inner: Arc<ClientInner>, request: Result<Request, CallError>) -> CallFuture<T> {
        CallFuture { inner, state: State::New(request), result: PhantomData }
    }

    /// Handles the first poll: starts the timeout, and sends the call if the queue has capacity.
    fn start(&self, request: Request) -> Result<State, CallError> {
        let request = request.limited_to_served_call();
        let created = self.inner.clock.now();
        match self.inner.try_reserve() {
            Ok(()) => self.send(request, created),
            Err(NoPermit::Full) => Ok(State::Reserving(Box::pin(reserve(Arc::clone(&self.inner), request, created)))),
            Err(reason) => Err(self.inner.queue_error(reason, request.timeout)),
        }
    }

    fn send(&self, request: Request, created: Time) -> Result<State, CallError> {
        let (caller, outcome) = oneshot::channel();
        let on_notifier_thread = self.inner.channels.is_notifier_thread();
        match self.inner.send(request, created, ReplySink::Future { caller, on_notifier_thread }) {
            Ok(ticket) => Ok(State::Sent { ticket, outcome }),
            Err(_sink) => Err(CallError::client_closed()),
        }
    }

    fn poll_outcome(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, CallError>> {
        loop {
            match mem::replace(&mut self.state, State::Done) {
                State::New(request) => self.state = self.start(request?)?,
                State::Reserving(mut reserving) => {
                    let Poll::Ready(ready) = reserving.as_mut().poll(context) else {
                        self.state = State::Reserving(reserving);
                        return Poll::Pending;
                    };
                    let (request, created) = ready?;
                    self.state = self.send(request, created)?;
                }
                State::Sent { ticket, mut outcome } => {
                    let Poll::Ready(ready) = Pin::new(&mut outcome).poll(context) else {
                        self.state = State::Sent { ticket, outcome };
                        return Poll::Pending;
                    };
                    return Poll::Ready(ready.unwrap_or_else(|_gone| Err(CallError::driver_lost())));
                }
                State::Done => panic!("a call was polled after it had returned its outcome"),
            }
        }
    }
}

/// Waits for a permit of the queue until the call's deadline.
async fn reserve(inner: Arc<ClientInner>, request: Request, created: Time) -> Result<(Request, Time), CallError> {
    match inner.reserve(request.deadline(created)).await {
        Ok(()) => Ok((request, created)),
        Err(reason) => Err(inner.queue_error(reason, request.timeout)),
    }
}

impl<T: DeserializeOwned> Future for CallFuture<T> {
    type Output = Result<T, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.poll_outcome(context));
        // The caller's thread decodes the result, so that a large one delays no heartbeat.
        Poll::Ready(decode(outcome))
    }
}

impl<T> Drop for CallFuture<T> {
    fn drop(&mut self) {
        if let State::Sent { ticket, outcome } = &mut self.state {
            // Closed first: an I/O thread that has not received the call yet sees that it was dropped.
            outcome.close();
            if outcome.try_recv().is_err() {
                // An error means that the I/O thread has ended, and so has the call.
                let _ = self.inner.channels.commands.push(Command::Cancel(*ticket));
            }
        }
    }
}

impl<T> fmt::Debug for CallFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::New(_) => "not started",
            State::Reserving(_) => "waiting for capacity in the client",
            State::Sent { .. } => "sent",
            State::Done => "done",
        };
        f.debug_struct("CallFuture").field("state", &state).finish_non_exhaustive()
    }
}
