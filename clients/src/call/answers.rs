//! The answers to a broadcast.

use std::{fmt, ops::Deref};

use callboard_core::{body, wire::broadcast};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use crate::error::call_error::CallError;

/// The answers of all workers to a [broadcast](crate::Call::broadcast): a list of [`WorkerAnswer`]s in no particular order.
#[derive(Clone, PartialEq, Eq)]
pub struct Answers<T>(Vec<WorkerAnswer<T>>);

/// The answer of one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerAnswer<T> {
    /// The worker's instance name, as in `callboard status`.
    pub worker: String,
    /// The worker's result. A worker that was lost, had no free slot or timed out appears with that error.
    pub result: Result<T, CallError>,
}

impl<T> Answers<T> {
    /// Returns the results of all workers.
    ///
    /// # Errors
    /// The error of the first worker that failed.
    pub fn all(self) -> Result<Vec<T>, CallError> {
        self.0.into_iter().map(|answer| answer.result).collect()
    }
}

impl<T> Deref for Answers<T> {
    type Target = [WorkerAnswer<T>];

    fn deref(&self) -> &[WorkerAnswer<T>] {
        &self.0
    }
}

impl<T> IntoIterator for Answers<T> {
    type Item = WorkerAnswer<T>;
    type IntoIter = std::vec::IntoIter<WorkerAnswer<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for Answers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

/// A result that does not decode as `T` is an error of its own answer and does not affect the others.
impl<'de, T: DeserializeOwned> Deserialize<'de> for Answers<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let answers = Vec::<broadcast::BroadcastReply>::deserialize(deserializer)?;
        let answer = |answer: broadcast::BroadcastReply| {
            let worker = answer.worker.clone();
            let result = answer.outcome().map_err(CallError::from);
            let result =
                result.and_then(|body| body::decode(&body).map_err(|error| CallError::invalid_result::<T>(&error)));
            WorkerAnswer { worker, result }
        };
        Ok(Answers(answers.into_iter().map(answer).collect()))
    }
}
