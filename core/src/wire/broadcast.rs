//! The result of a broadcast: the reply of each worker.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::status::{Code, Executed, Failure};

/// The reply of one worker. The result of a broadcast is a list of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroadcastReply {
    /// The worker's instance name.
    pub worker: String,
    /// The encoded result, if the call succeeded at this worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Bytes>,
    /// The failure, if the call failed at this worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ReplyFailure>,
}

/// A failure in a worker's reply. The fields have the same meaning as in the header of a reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyFailure {
    /// The number of the status code.
    pub code: u8,
    /// Whether the handler ran: the number of an [`Executed`].
    pub executed: u8,
    /// The type name of the error.
    #[serde(default, rename = "type", skip_serializing_if = "String::is_empty")]
    pub type_name: String,
    /// A message for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// One encoded item with the details of the error, or empty.
    #[serde(default, skip_serializing_if = "Bytes::is_empty")]
    pub details: Bytes,
    /// The delay after which a retry makes sense, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl BroadcastReply {
    /// Creates the reply of `worker`.
    pub fn new(worker: &str, outcome: Result<Bytes, Box<Failure>>) -> BroadcastReply {
        let (result, failure) = match outcome {
            Ok(body) => (Some(body), None),
            Err(failure) => (None, Some(ReplyFailure::new(*failure))),
        };
        BroadcastReply { worker: worker.to_owned(), result, failure }
    }

    /// Returns the result or the failure. A reply without both is an INTERNAL failure of that worker.
    pub fn outcome(self) -> Result<Bytes, Box<Failure>> {
        match (self.result, self.failure) {
            (Some(body), _) => Ok(body),
            (None, Some(failure)) => Err(Box::new(failure.into_failure(&self.worker))),
            (None, None) => {
                let text = "the reply of the worker has neither a result nor a failure";
                Err(Box::new(Failure {
                    worker: self.worker.into(),
                    ..Failure::new(Code::Internal, Executed::Maybe, text)
                }))
            }
        }
    }
}

impl ReplyFailure {
    fn new(failure: Failure) -> ReplyFailure {
        ReplyFailure {
            code: failure.code.number(),
            executed: failure.executed.number(),
            type_name: failure.type_name.to_string(),
            message: failure.message.to_string(),
            details: failure.details,
            retry_after_ms: failure.retry_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    fn into_failure(self, worker: &str) -> Failure {
        let executed = Executed::from_number(self.executed.into()).unwrap_or(Executed::Maybe);
        Failure {
            type_name: self.type_name.into(),
            details: self.details,
            worker: worker.into(),
            retry_after: self.retry_after_ms.map(Duration::from_millis),
            ..Failure::new(Code::from_number(self.code.into()), executed, self.message)
        }
    }
}
