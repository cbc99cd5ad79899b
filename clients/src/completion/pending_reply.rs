//! The outcome of an awaited call.

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::error::call_error::CallError;

/// The outcome of an awaited call, to be delivered to its future.
#[derive(Debug)]
pub(crate) struct PendingReply {
    pub(crate) caller: oneshot::Sender<Result<Bytes, CallError>>,
    pub(crate) outcome: Result<Bytes, CallError>,
}

impl PendingReply {
    /// Delivers the outcome, which wakes the caller.
    pub(crate) fn deliver(self) {
        // An error means that the caller has just dropped its future.
        let _ = self.caller.send(self.outcome);
    }
}
