//! The progress of a handler.

use serde::{Deserialize, Serialize};

/// The progress that a handler reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The work that is done, in a unit of the handler's choice.
    pub done: u64,
    /// The whole work, if the handler reports it.
    pub total: Option<u64>,
    /// What the handler is doing, as text for people. Often empty.
    pub message: String,
}
