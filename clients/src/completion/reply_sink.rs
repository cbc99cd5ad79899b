//! The destination of a call's outcome.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::callbacks::PendingCallback;
use crate::{error::call_error::CallError, stream::buffer::StreamSink};

/// The destination of a call's outcome. The client machine keeps it until the call ends.
#[derive(Debug)]
pub(crate) enum ReplySink {
    /// A future awaits the outcome. `on_notifier_thread` is true if the call was made on the thread of the completion notifier.
    Future { caller: oneshot::Sender<Result<Bytes, CallError>>, on_notifier_thread: bool },
    /// A callback receives the outcome.
    Callback(PendingCallback),
    /// The call has streams; their buffer receives the outcome.
    Stream(StreamSink),
    /// The call is a cast: its outcome is dropped.
    Discard,
}

impl ReplySink {
    /// Returns true if the caller has dropped the call.
    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            ReplySink::Future { caller, .. } => caller.is_closed(),
            ReplySink::Stream(sink) => sink.buffer.is_abandoned(),
            ReplySink::Callback(_) | ReplySink::Discard => false,
        }
    }
}
