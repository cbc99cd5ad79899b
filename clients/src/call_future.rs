//! An awaited call.

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

use crate::{
    call::decode,
    call_error::CallError,
    request::Request,
    responder::Responder,
    room::NoRoom,
    shared::{Command, Shared},
};

/// An awaited call: what [`Call`](crate::Call) becomes with `.await`, or with [`IntoFuture::into_future`] for whoever wants to
/// keep it (in a `FuturesUnordered`, in a struct).
///
/// The call is made when it is first polled. It runs on any executor. It counts as a handle of its client: the client is not closed by
/// itself while a call is awaited.
///
/// # Panics
/// When it is polled again after it was ready, as futures do.
///
/// # Cancel safety
/// Dropping it cancels the call, through to the handler: one that has not begun never does, an async one is dropped at its next
/// await. Whether it had begun cannot be told any more.
#[must_use = "futures do nothing unless they are polled"]
pub struct CallFuture<T> {
    shared: Arc<Shared>,
    step: Step,
    result: PhantomData<fn() -> T>,
}

/// How far the call is.
enum Step {
    /// Never polled.
    New(Result<Request, CallError>),
    /// There was no room in the client's queue.
    Waiting(Waiting),
    /// The link thread has it.
    Sent { ticket: Ticket, outcome: oneshot::Receiver<Result<Bytes, CallError>> },
    /// Its outcome was given out.
    Done,
}

/// Waits for room; the place is forgotten already, and the call goes out in the same poll.
type Waiting = Pin<Box<dyn Future<Output = Result<(Request, Time), CallError>> + Send>>;

impl<T> CallFuture<T> {
    pub(crate) fn new(shared: Arc<Shared>, request: Result<Request, CallError>) -> CallFuture<T> {
        CallFuture { shared, step: Step::New(request), result: PhantomData }
    }

    /// The first poll: the time-out begins, and with room in the queue the call is sent.
    fn begin(&self, request: Request) -> Result<Step, CallError> {
        let request = request.begun();
        let made = self.shared.clock.now();
        match self.shared.try_queue() {
            Ok(()) => self.send(request, made),
            Err(NoRoom::Full) => Ok(Step::Waiting(Box::pin(wait(Arc::clone(&self.shared), request, made)))),
            Err(reason) => Err(self.shared.no_queue(reason, request.timeout)),
        }
    }

    fn send(&self, request: Request, made: Time) -> Result<Step, CallError> {
        let (caller, outcome) = oneshot::channel();
        let at_home = self.shared.lines.is_home();
        match self.shared.send(request, made, Responder::Await { caller, at_home }) {
            Ok(ticket) => Ok(Step::Sent { ticket, outcome }),
            Err(_responder) => Err(CallError::closed()),
        }
    }

    fn poll_outcome(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, CallError>> {
        loop {
            match mem::replace(&mut self.step, Step::Done) {
                Step::New(request) => self.step = self.begin(request?)?,
                Step::Waiting(mut room) => {
                    let Poll::Ready(ready) = room.as_mut().poll(context) else {
                        self.step = Step::Waiting(room);
                        return Poll::Pending;
                    };
                    let (request, made) = ready?;
                    self.step = self.send(request, made)?;
                }
                Step::Sent { ticket, mut outcome } => {
                    let Poll::Ready(ready) = Pin::new(&mut outcome).poll(context) else {
                        self.step = Step::Sent { ticket, outcome };
                        return Poll::Pending;
                    };
                    return Poll::Ready(ready.unwrap_or_else(|_gone| Err(CallError::lost())));
                }
                Step::Done => panic!("a call was polled after its outcome had been given out"),
            }
        }
    }
}

/// Waits for a place in the queue, as long as the call may take.
async fn wait(shared: Arc<Shared>, request: Request, made: Time) -> Result<(Request, Time), CallError> {
    match shared.queue(request.deadline(made)).await {
        Ok(()) => Ok((request, made)),
        Err(reason) => Err(shared.no_queue(reason, request.timeout)),
    }
}

impl<T: DeserializeOwned> Future for CallFuture<T> {
    type Output = Result<T, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.poll_outcome(context));
        // Decoded here, on the caller's thread: a large result holds up no heartbeat.
        Poll::Ready(decode(outcome))
    }
}

impl<T> Drop for CallFuture<T> {
    fn drop(&mut self) {
        if let Step::Sent { ticket, outcome } = &mut self.step {
            // Closed first: if the link thread has not taken the call yet, it sees by this that nobody waits for it.
            outcome.close();
            if outcome.try_recv().is_err() {
                // An error is a link thread that has ended: so has the call.
                let _ = self.shared.lines.commands.push(Command::Cancel(*ticket));
            }
        }
    }
}

impl<T> fmt::Debug for CallFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = match self.step {
            Step::New(_) => "not begun",
            Step::Waiting(_) => "waits for room in the client",
            Step::Sent { .. } => "sent",
            Step::Done => "done",
        };
        f.debug_struct("CallFuture").field("step", &step).finish_non_exhaustive()
    }
}
