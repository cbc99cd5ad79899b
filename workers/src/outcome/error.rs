//! The error type of handlers that choose their status code.

use std::{any::type_name, fmt::Display};

use bytes::Bytes;
use callboard_core::{
    body,
    wire::status::{Code, Executed, Failure},
};
use serde::Serialize;

/// A failure with a status code.
///
/// ```
/// use callboard_workers::{Code, Error};
///
/// fn user(id: u32) -> Result<String, Error> {
///     Err(Error::new(Code::NotFound, format!("there is no user {id}")))
/// }
/// # assert!(user(7).is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Error {
    code: Code,
    type_name: String,
    message: String,
    details: Bytes,
}

impl Error {
    /// Creates a failure with a code and a message for the caller.
    pub fn new(code: Code, message: impl Into<String>) -> Error {
        Error { code, type_name: String::new(), message: message.into(), details: Bytes::new() }
    }

    /// Creates a failure with a code from an application error. The caller gets the error's type name, its `Display` text as the
    /// message, and its serialized form as the details.
    pub fn from_error<E: Serialize + Display>(code: Code, error: &E) -> Error {
        Error {
            code,
            type_name: short_type_name::<E>(),
            message: error.to_string(),
            details: body::encode(error).unwrap_or_default(),
        }
    }

    /// Returns the same failure with another type name.
    pub(super) fn with_type_name(self, type_name: &str) -> Error {
        Error { type_name: type_name.to_owned(), ..self }
    }

    /// Returns the failure that ends a call.
    pub fn into_failure(self) -> Failure {
        Failure {
            type_name: self.type_name.into(),
            details: self.details,
            ..Failure::new(self.code, Executed::Yes, self.message)
        }
    }
}

/// Returns a type's name without its path and parameters, as it is sent to the caller.
fn short_type_name<T>() -> String {
    let full = type_name::<T>().trim_start_matches('&');
    let base = full.split('<').next().unwrap_or(full);
    base.rsplit("::").next().unwrap_or(base).to_owned()
}
