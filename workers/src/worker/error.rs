//! Why a worker cannot start or has stopped.

use std::fmt;

use callboard_core::wire::{limits::SLOTS_MAX, status::Failure};
use callboard_transport::{AuthKeySourceError, CurveKeysError};

use crate::service::ServiceError;

/// Why a worker cannot start or has stopped. `Debug` prints the same text as `Display`, for a `main` that returns this error.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The worker has no service.
    #[error("the worker has no service: add one with Worker::serve")]
    NoService,
    /// A service is invalid.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The number of slots of the worker is not valid.
    #[error("the worker has {slots} slots: use 1 to {SLOTS_MAX}")]
    InvalidSlots {
        /// The number of slots.
        slots: u32,
    },
    /// The broker's address is invalid. The text is the whole message.
    #[error("{0}")]
    BadAddress(String),
    /// The authentication key cannot be read.
    #[error(transparent)]
    Authkey(#[from] AuthKeySourceError),
    /// The keys of the encryption cannot be read.
    #[error(transparent)]
    Curve(#[from] CurveKeysError),
    /// The broker rejected the worker, and a retry would not help.
    #[error("the broker at {address} rejected this worker: {failure}")]
    Rejected {
        /// The address of the broker's backend.
        address: String,
        /// The broker's reason.
        failure: Box<Failure>,
    },
    /// The system could not provide a thread, a runtime or a signal handler.
    #[error("cannot start the worker: {0}")]
    System(#[from] std::io::Error),
    /// The I/O thread has ended: the worker has already stopped, the process is exiting, or the thread panicked.
    #[error("the worker's I/O thread has ended")]
    IoThreadEnded,
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
    fn debug_output_is_the_message() {
        assert_eq!(format!("{:?}", WorkerError::NoService), WorkerError::NoService.to_string());
    }
}
