//! Decoding of results.

use bytes::Bytes;
use callboard_core::body;
use serde::de::DeserializeOwned;

use crate::error::call_error::CallError;

/// Decodes the result of a call to the type that its caller expects.
pub(crate) fn decode<T: DeserializeOwned>(outcome: Result<Bytes, CallError>) -> Result<T, CallError> {
    body::decode(&outcome?).map_err(|error| CallError::invalid_result::<T>(&error))
}
