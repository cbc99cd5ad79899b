//! The result of a broadcast: what each worker answered.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::status::{Code, Executed, Failure};

/// One worker's answer. The result of a broadcast is a list of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroadcastReply {
    /// The worker's instance name.
    pub worker: String,
    /// Its result, encoded; none if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Bytes>,
    /// How it failed; none if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ReplyFailure>,
}

/// A failure in a worker's answer, with the same meanings as in a reply's header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyFailure {
    /// The status code's number.
    pub code: u8,
    /// Whether the handler ran, as its number.
    pub executed: u8,
    /// The error's type name.
    #[serde(default, rename = "type", skip_serializing_if = "String::is_empty")]
    pub type_name: String,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// One encoded item with what the error carries, or nothing.
    #[serde(default, skip_serializing_if = "Bytes::is_empty")]
    pub details: Bytes,
    /// When trying again makes sense, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl BroadcastReply {
    /// What `worker` answered.
    pub fn new(worker: &str, outcome: Result<Bytes, Box<Failure>>) -> BroadcastReply {
        let (result, failure) = match outcome {
            Ok(body) => (Some(body), None),
            Err(failure) => (None, Some(ReplyFailure::of(*failure))),
        };
        BroadcastReply { worker: worker.to_owned(), result, failure }
    }

    /// Its result, or how it failed. An answer that is neither is a failure of whoever wrote it.
    pub fn outcome(self) -> Result<Bytes, Box<Failure>> {
        match (self.result, self.failure) {
            (Some(body), _) => Ok(body),
            (None, Some(said)) => Err(Box::new(said.failure(&self.worker))),
            (None, None) => {
                let text = "an answer without a result and without a failure";
                Err(Box::new(Failure {
                    worker: self.worker.into(),
                    ..Failure::new(Code::Internal, Executed::Maybe, text)
                }))
            }
        }
    }
}

impl ReplyFailure {
    fn of(failure: Failure) -> ReplyFailure {
        ReplyFailure {
            code: failure.code.number(),
            executed: failure.executed.number(),
            type_name: failure.type_name.to_string(),
            message: failure.message.to_string(),
            details: failure.details,
            retry_after_ms: failure.retry_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    fn failure(self, worker: &str) -> Failure {
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
