//! The streams of a call, from Python.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, ready},
};

use callboard_clients::{Encoded, ItemSender as NativeSender, ReplyFuture, ReplyStream, SendError};
use futures::{FutureExt as _, Sink as _, StreamExt as _};
use pyo3::prelude::*;

use super::{
    inbox::Inbox,
    operation::{Operation, Outcome},
};
use crate::{value, wait};

type Shared<T> = Arc<Mutex<Option<T>>>;

fn lock<T>(shared: &Mutex<Option<T>>) -> MutexGuard<'_, Option<T>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn share<T>(value: T) -> Shared<T> {
    Arc::new(Mutex::new(Some(value)))
}

/// The items that a handler sends. Dropping it cancels the call.
#[pyclass(frozen, module = "callboard._native")]
pub(super) struct ItemStream(Shared<ReplyStream<Encoded>>);

impl ItemStream {
    pub(super) fn new(stream: ReplyStream<Encoded>) -> ItemStream {
        ItemStream(share(stream))
    }

    fn next_item(&self) -> Operation {
        let stream = Arc::clone(&self.0);
        Box::pin(poll_fn(move |context| {
            let mut stream = lock(&stream);
            let Some(stream) = stream.as_mut() else { return Poll::Ready(Outcome::End) };
            Poll::Ready(ready!(stream.poll_next_unpin(context)).map_or(Outcome::End, Outcome::from))
        }))
    }
}

#[pymethods]
impl ItemStream {
    fn __iter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        wait::block_on(py, self.next_item())?.into_python(py)
    }

    /// Lets `inbox` deliver the next item.
    fn next_to(&self, inbox: &Inbox, deliver: Py<PyAny>) {
        inbox.add(self.next_item(), deliver);
    }

    /// Cancels the call. The stream has no further items.
    fn cancel(&self) {
        let stream = lock(&self.0).take();
        drop(stream);
    }

    /// The number of items that were dropped in favour of newer ones.
    #[getter]
    fn dropped(&self) -> u64 {
        lock(&self.0).as_ref().map_or(0, ReplyStream::dropped)
    }
}

/// Sends the items of a call to its handler. Dropping it before its end cancels the call.
#[pyclass(frozen, module = "callboard._native")]
pub(super) struct ItemSender(Shared<NativeSender<Encoded>>);

impl ItemSender {
    pub(super) fn new(sender: NativeSender<Encoded>) -> ItemSender {
        ItemSender(share(sender))
    }

    fn send_item(&self, item: &Bound<'_, PyAny>) -> PyResult<Operation> {
        let sender = Arc::clone(&self.0);
        let mut item = Some(Encoded(value::encode(item, "item")?));
        Ok(Box::pin(poll_fn(move |context| {
            let mut sender = lock(&sender);
            let Some(sender) = sender.as_mut() else { return Poll::Ready(Outcome::End) };
            let mut sender = std::pin::Pin::new(sender);
            if item.is_some() {
                match ready!(sender.as_mut().poll_ready(context)) {
                    Ok(()) => {}
                    Err(error) => return Poll::Ready(send_outcome(Err(error))),
                }
                let item = item.take().expect("it was checked just before");
                if let Err(error) = sender.as_mut().start_send(item) {
                    return Poll::Ready(send_outcome(Err(error)));
                }
            }
            Poll::Ready(send_outcome(ready!(sender.poll_flush(context))))
        })))
    }
}

/// The end of the call is not an error of the sender: the call's outcome has the reason.
fn send_outcome(sent: Result<(), SendError>) -> Outcome {
    match sent {
        Ok(()) => Outcome::Done,
        Err(SendError::Closed) => Outcome::End,
        Err(error) => Outcome::Error(error.to_string()),
    }
}

#[pymethods]
impl ItemSender {
    /// Sends an item, and waits while the handler does not read. Returns false if the call has ended.
    fn send(&self, py: Python<'_>, item: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(wait::block_on(py, self.send_item(item)?)?.into_python(py)?.is_some())
    }

    /// Lets `inbox` deliver when the item is sent.
    fn send_to(&self, item: &Bound<'_, PyAny>, inbox: &Inbox, deliver: Py<PyAny>) -> PyResult<()> {
        inbox.add(self.send_item(item)?, deliver);
        Ok(())
    }

    /// Ends the items.
    fn end(&self) {
        let sender = lock(&self.0).take();
        sender.into_iter().for_each(NativeSender::end);
    }

    /// Cancels the call, unless the items have ended.
    fn cancel(&self) {
        let sender = lock(&self.0).take();
        drop(sender);
    }
}

/// Returns the operation that waits for the reply of a call with streams or progress.
pub(super) fn reply(reply: ReplyFuture<Encoded>) -> Operation {
    Box::pin(reply.map(Outcome::from))
}
