//! Why a service is invalid.

use callboard_core::wire::{limits::SLOTS_MAX, method::NameError};

/// Why a service is invalid. The worker reports it before it connects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The name of the service, a method or an argument is invalid.
    #[error("service {service}: {error}")]
    InvalidName {
        /// The service.
        service: String,
        /// What is wrong with the name.
        error: NameError,
    },
    /// Two methods have the same name.
    #[error("service {service} has two methods named {method}: rename one")]
    DuplicateMethod {
        /// The service.
        service: String,
        /// The method.
        method: String,
    },
    /// A limit names a method that the service does not have.
    #[error("service {service} has no method {method}: set limits only for methods of the service")]
    UnknownMethod {
        /// The service.
        service: String,
        /// The method.
        method: String,
    },
    /// The concurrency limit of a method is 0.
    #[error("the concurrency of {service}.{method} is 0: it must be at least 1")]
    InvalidConcurrency {
        /// The service.
        service: String,
        /// The method.
        method: String,
    },
    /// The number of slots is not valid.
    #[error("service {service} has {slots} slots: use 1 to {SLOTS_MAX}")]
    InvalidSlots {
        /// The service.
        service: String,
        /// The number of slots.
        slots: u32,
    },
}
