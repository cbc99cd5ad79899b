//! Why a worker does not serve.

use std::fmt;

use callboard_core::wire::status::Failure;
use callboard_transport::AuthKeySourceError;

use crate::service::ServiceError;

/// Why a worker does not serve (any more). `Debug` is the sentence, too, for a `main` that returns it.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// It has nothing to serve.
    #[error("the worker serves nothing: give it a service with Worker::serve")]
    NoService,
    /// A service that a broker would not take.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Its broker's address is none. The text says what to write.
    #[error("{0}")]
    BadAddress(String),
    /// Its key cannot be used.
    #[error(transparent)]
    Authkey(#[from] AuthKeySourceError),
    /// The broker will not have it, and coming back would not help.
    #[error("the broker at {address} refuses this worker: {failure}")]
    Refused {
        /// The broker's backend.
        address: String,
        /// What it said.
        failure: Box<Failure>,
    },
    /// The system gave no thread, no runtime or no signal handler.
    #[error("the worker cannot start: {0}")]
    System(#[from] std::io::Error),
    /// The link's thread ended: a bug, or a process that is ending.
    #[error("the worker's link ended unexpectedly")]
    LinkEnded,
}

impl fmt::Debug for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_main_that_returns_an_error_says_a_sentence() {
        assert_eq!(format!("{:?}", WorkerError::NoService), WorkerError::NoService.to_string());
    }
}
