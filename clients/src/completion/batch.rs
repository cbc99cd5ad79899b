//! The outcomes of one turn of the I/O thread.

use std::sync::Arc;

use bytes::Bytes;
use callboard_core::time::Time;
use callboard_transport::Clock;

use super::{
    callbacks::ReadyCallback, notifier::CompletionNotifier, pending_reply::PendingReply, reply_sink::ReplySink,
};
use crate::{error::call_error::CallError, shared::channels::ThreadChannels};

/// The outcomes of one turn. They are delivered together at its end, because a wake-up across threads costs as much as about twenty
/// calls.
pub(crate) struct CompletionBatch {
    /// Callbacks with their outcomes. Empty between turns, as are the next two fields; kept to reuse their memory.
    callbacks: Vec<ReadyCallback>,
    /// Replies to callers on any thread.
    replies: Vec<PendingReply>,
    /// Replies to callers on the thread of the notifier.
    notifier_replies: Vec<PendingReply>,
    channels: Arc<ThreadChannels>,
    notifier: Option<CompletionNotifier>,
}

impl CompletionBatch {
    /// Creates an empty batch.
    pub(crate) fn new(channels: Arc<ThreadChannels>, notifier: Option<CompletionNotifier>) -> CompletionBatch {
        CompletionBatch { callbacks: Vec::new(), replies: Vec::new(), notifier_replies: Vec::new(), channels, notifier }
    }

    /// Completes a call. Its outcome is delivered with the batch; the outcome of a call with streams is delivered at once.
    pub(crate) fn complete(&mut self, sink: ReplySink, outcome: Result<Bytes, CallError>) {
        match sink {
            ReplySink::Future { caller, on_notifier_thread: true } => {
                self.notifier_replies.push(PendingReply { caller, outcome });
            }
            ReplySink::Future { caller, on_notifier_thread: false } => {
                self.replies.push(PendingReply { caller, outcome });
            }
            ReplySink::Callback(callback) => self.callbacks.extend(callback.into_ready(outcome)),
            ReplySink::Stream(sink) => sink.buffer.complete(outcome),
            ReplySink::Discard => {}
        }
    }

    /// Delivers the outcomes of the batch.
    pub(crate) fn deliver(&mut self, clock: Clock) {
        match &mut self.notifier {
            Some(notifier) if self.notifier_replies.len() > 1 => notifier.notify(&mut self.notifier_replies, clock),
            _ => self.notifier_replies.drain(..).for_each(PendingReply::deliver),
        }
        self.replies.drain(..).for_each(PendingReply::deliver);
        // The callback thread lives until the I/O thread closes it.
        let _ = self.channels.callbacks.push(&mut self.callbacks);
    }

    /// Returns when [`handle_timeout`](CompletionBatch::handle_timeout) must be called, if any.
    pub(crate) fn poll_timeout(&mut self) -> Option<Time> {
        self.notifier.as_mut()?.poll_timeout()
    }

    /// Delivers the replies that the notifier's task has not delivered in time.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        if let Some(notifier) = &mut self.notifier {
            notifier.handle_timeout(now);
        }
    }

    /// Delivers all remaining outcomes and stops the notifier.
    pub(crate) fn shut_down(&mut self, clock: Clock) {
        self.notifier = None;
        self.deliver(clock);
    }
}
