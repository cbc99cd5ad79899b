//! The caller's handle of a call with streams.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use callboard_core::{client::Ticket, time::Time, wire::item_batch::BatchReader};
use tokio::task::AbortHandle;

use super::{
    buffer::{Sent, StreamBuffer, StreamEvent, StreamSink},
    command::StreamCommand,
};
use crate::{
    call::request::Request,
    completion::reply_sink::ReplySink,
    error::call_error::CallError,
    shared::{capacity::NoPermit, command::Command, inner::ClientInner},
};

/// The caller's handle of a call with streams.
#[derive(Debug)]
pub(crate) struct StreamHandle {
    buffer: Arc<StreamBuffer>,
    /// The items that this reader has taken from the buffer.
    reading: BatchReader,
    inner: Arc<ClientInner>,
    /// `None` if the call could not be made; the buffer holds its outcome then.
    ticket: Option<Ticket>,
    /// The task on the I/O thread that waits for a permit of the client's queue.
    queueing: Option<AbortHandle>,
}

/// What the reader of a call receives.
pub(crate) enum NextItem {
    /// The next item.
    Item(Bytes),
    /// The end of the call, after all items. Holds the outcome the first time.
    End(Option<Result<Bytes, CallError>>),
}

impl StreamHandle {
    /// Makes the call at once. If that fails, the error is the call's outcome.
    ///
    /// If the client's queue is full, the call waits for a permit as other calls do. A task on the I/O thread waits for it, because
    /// the caller may be awaiting something else.
    pub(crate) fn start(inner: Arc<ClientInner>, request: Result<Request, CallError>, conflate: bool) -> StreamHandle {
        let (buffer, reading) = (StreamBuffer::new(conflate), BatchReader::default());
        let mut handle = StreamHandle { buffer, reading, inner, ticket: None, queueing: None };
        match request {
            Ok(request) => handle.send_request(request.limited_to_served_call()),
            Err(error) => handle.buffer.complete(Err(error)),
        }
        handle
    }

    fn send_request(&mut self, request: Request) {
        let (ticket, created) = (self.inner.next_ticket(), self.inner.clock.now());
        let sink = StreamSink { buffer: Arc::clone(&self.buffer), ticket: None };
        self.ticket = Some(ticket);
        match self.inner.try_reserve() {
            Ok(()) => send(&self.inner, ticket, request, created, sink),
            Err(NoPermit::Full) => {
                let queueing = send_when_reserved(Arc::clone(&self.inner), ticket, request, created, sink);
                self.queueing = Some(self.inner.runtime.spawn(queueing).abort_handle());
            }
            Err(reason) => self.buffer.complete(Err(self.inner.queue_error(reason, None))),
        }
    }

    /// Returns a second handle of the same call. Only one of both may read.
    pub(crate) fn share(&self) -> StreamHandle {
        let (buffer, inner) = (Arc::clone(&self.buffer), Arc::clone(&self.inner));
        let reading = BatchReader::default();
        StreamHandle { buffer, reading, inner, ticket: self.ticket, queueing: self.queueing.clone() }
    }

    /// Polls the next item, or the end with the outcome, which is there the first time.
    pub(crate) fn poll_next(&mut self, context: &Context<'_>) -> Poll<NextItem> {
        loop {
            if let Some((item, read)) = self.reading.next_item() {
                if let Some(credit) = read.and_then(|credit| self.buffer.record_read(credit)) {
                    self.push(|ticket| Command::Stream(StreamCommand::Read(ticket, credit)));
                }
                return Poll::Ready(NextItem::Item(item));
            }
            match ready!(self.buffer.poll_next(context)) {
                StreamEvent::Items(batch) => self.reading = BatchReader::new(batch),
                StreamEvent::End(outcome) => return Poll::Ready(NextItem::End(outcome)),
            }
        }
    }

    /// Polls the next progress report.
    pub(crate) fn poll_progress(&self, context: &Context<'_>) -> Poll<Bytes> {
        self.buffer.poll_progress(context)
    }

    /// Sends an item as soon as there is credit for it. Returns false if the call has ended.
    pub(crate) fn poll_send(&self, context: &Context<'_>, item: &Bytes) -> Poll<bool> {
        let sent = ready!(self.buffer.poll_send(context, item));
        if sent == Sent::First {
            self.push(|ticket| Command::Stream(StreamCommand::Items(ticket)));
        }
        Poll::Ready(sent != Sent::Closed)
    }

    /// Ends the caller's items.
    pub(crate) fn end(&self) {
        self.buffer.end_send();
        self.push(|ticket| Command::Stream(StreamCommand::End(ticket)));
    }

    /// Cancels the call unless it has ended. `error` becomes the outcome for another handle that still waits.
    pub(crate) fn cancel(&self, error: impl FnOnce() -> CallError) {
        if !self.buffer.abandon() {
            return;
        }
        self.buffer.complete(Err(error()));
        if let Some(queueing) = &self.queueing {
            queueing.abort();
        }
        self.push(Command::Cancel);
    }

    /// Cancels the call with an error that its reader has already received: nothing follows it.
    pub(crate) fn cancel_and_clear(&mut self, error: impl FnOnce() -> CallError) {
        self.cancel(error);
        self.reading = BatchReader::default();
        self.buffer.clear();
    }

    /// Returns the bytes of the items that arrived and were not read.
    pub(crate) fn unread_bytes(&self) -> u64 {
        self.reading.unread_bytes() + self.buffer.arrived_bytes()
    }

    /// Returns the number of items that were dropped in favour of newer ones, on both sides.
    pub(crate) fn dropped(&self) -> u64 {
        self.buffer.dropped()
    }

    /// Pushes a command to the I/O thread if the call was made. An error means that the thread has ended, and so has the call.
    fn push(&self, command: impl FnOnce(Ticket) -> Command) {
        if let Some(ticket) = self.ticket {
            let _ = self.inner.channels.commands.push(command(ticket));
        }
    }
}

/// Sends a call once it has a permit of the queue, or completes it with an error at its deadline.
///
/// # Cancel safety
/// Cancel safe: dropping the future gives up its position in the queue of waiters.
async fn send_when_reserved(
    inner: Arc<ClientInner>,
    ticket: Ticket,
    request: Request,
    created: Time,
    sink: StreamSink,
) {
    match inner.reserve(request.deadline(created)).await {
        Ok(()) => send(&inner, ticket, request, created, sink),
        Err(reason) => sink.buffer.complete(Err(inner.queue_error(reason, request.timeout))),
    }
}

/// Sends a call that has its permit of the queue.
fn send(inner: &ClientInner, ticket: Ticket, request: Request, created: Time, sink: StreamSink) {
    let buffer = Arc::clone(&sink.buffer);
    if let Err(sink) = inner.send_with_ticket(ticket, request, created, ReplySink::Stream(sink)) {
        // Before the sink is dropped, which would complete the call with a less precise error.
        buffer.complete(Err(CallError::client_closed()));
        drop(sink);
    }
}
