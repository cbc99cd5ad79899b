//! The error of a failed call.

use std::{any::type_name, error::Error, fmt, time::Duration};

use callboard_core::{
    body::{self, DecodeError, EncodeError},
    client::Timeout,
    wire::{
        affinity::AffinityKeyError,
        ids::CallId,
        method::NameError,
        status::{Code, Executed, Failure, Timings},
    },
};
use serde::Deserialize;

/// The error of a failed call: a status code, whether the handler ran, and a message for people.
///
/// It has the size of a pointer. `Debug` prints the message too, for a `main` that returns the error.
///
/// ```no_run
/// use callboard_clients::{Client, Code};
///
/// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let error = client.call::<f64>("calculator.div", (1, 0)).await.unwrap_err();
/// match error.code() {
///     // The function's own error: its type name, its text, and the error value as details.
///     Code::Unknown if error.type_name() == "DivisionByZero" => println!("{}", error.message()),
///     _ if error.is_safe_to_repeat() => println!("the handler did not run: {error}"),
///     _ => return Err(error.into()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CallError(Box<Failure>);

impl CallError {
    /// Returns the status code, with gRPC's codes and meanings.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Returns whether the handler ran.
    pub fn executed(&self) -> Executed {
        self.0.executed
    }

    /// Returns true if the handler certainly did not run, so that repeating the call does not run it twice. Methods that are `read`
    /// or `idempotent` can be repeated in any case.
    pub fn is_safe_to_repeat(&self) -> bool {
        self.0.executed == Executed::No
    }

    /// Returns the name of the error's type: the function's own (`DivisionByZero`) or the library's (`ArgumentError`).
    /// Empty if it has none.
    pub fn type_name(&self) -> &str {
        &self.0.type_name
    }

    /// Returns the message for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Decodes the details as `E`. The details of a function's own error are the error value. Returns `None` if there are none.
    ///
    /// # Errors
    /// [`DecodeError`] if the details are not an `E`.
    pub fn details<'a, E: Deserialize<'a>>(&'a self) -> Option<Result<E, DecodeError>> {
        let details = &self.0.details;
        (!details.is_empty()).then(|| body::decode(details))
    }

    /// Returns the encoded details: one CBOR item, or empty.
    pub fn encoded_details(&self) -> &[u8] {
        &self.0.details
    }

    /// Returns the number of the attempt that failed, from 1. `None` if the call is not known to have been sent to a
    /// worker.
    pub fn attempt(&self) -> Option<u32> {
        (self.0.attempt > 0).then_some(self.0.attempt)
    }

    /// Returns the instance name of the last worker that received the call. `None` if none is known to have received
    /// it.
    pub fn worker(&self) -> Option<&str> {
        (!self.0.worker.is_empty()).then(|| &*self.0.worker)
    }

    /// Returns the delay after which a retry makes sense, if the broker sent one.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns the call's id as in logs and `callboard why`, such as `3f9a1c02-17`. `None` if the call was never sent.
    pub fn call_id(&self) -> Option<CallId> {
        self.0.call
    }

    /// Returns how long the call waited and ran, as far as that is known.
    pub fn timings(&self) -> Timings {
        self.0.timings
    }

    fn new(code: Code, message: impl Into<String>) -> CallError {
        CallError(Box::new(Failure::new(code, Executed::No, message.into())))
    }

    /// Creates the error of an invalid method name.
    pub(crate) fn invalid_method_name(error: &NameError) -> CallError {
        CallError::new(Code::InvalidArgument, error.to_string())
    }

    /// Creates the error of an invalid affinity key.
    pub(crate) fn invalid_key(error: &AffinityKeyError) -> CallError {
        CallError::new(Code::InvalidArgument, error.to_string())
    }

    /// Creates the error of call options that exclude each other.
    pub(crate) fn conflicting_options(text: &str) -> CallError {
        CallError::new(Code::InvalidArgument, text)
    }

    /// Creates the error of arguments that cannot be encoded as CBOR.
    pub(crate) fn invalid_arguments(method: &str, error: &EncodeError) -> CallError {
        CallError::new(Code::InvalidArgument, format!("cannot encode the arguments of {method}: {error}"))
    }

    /// Creates the error of a result that is not of the expected type.
    pub(crate) fn invalid_result<T>(error: &DecodeError) -> CallError {
        let text = format!("the method ran, but its result is not a valid {}: {error}", type_name::<T>());
        CallError(Box::new(Failure::new(Code::Internal, Executed::Yes, text)))
    }

    /// Creates the error of an item that is not of the expected type.
    pub(crate) fn invalid_item<T>(error: &DecodeError) -> CallError {
        let text = format!("an item of the stream is not a valid {}: {error}", type_name::<T>());
        CallError(Box::new(Failure::new(Code::Internal, Executed::Yes, text)))
    }

    /// Creates the error of a call whose reading end was dropped.
    pub(crate) fn reader_dropped() -> CallError {
        let text = "the call was cancelled: the caller dropped its stream or future";
        CallError(Box::new(Failure::new(Code::Cancelled, Executed::Maybe, text)))
    }

    /// Creates the error of a call whose item sender was dropped before its end.
    pub(crate) fn sender_dropped() -> CallError {
        let text = "the call was cancelled: its item sender was dropped without end(), so items may be missing";
        CallError(Box::new(Failure::new(Code::Cancelled, Executed::Maybe, text)))
    }

    /// Creates the error of a call that was made after its client was closed.
    pub(crate) fn client_closed() -> CallError {
        CallError::new(Code::FailedPrecondition, "the client is closed: create another one with Client::connect")
    }

    /// Creates the error of a callback that was pending when its polled client was dropped.
    pub(crate) fn client_dropped() -> CallError {
        let text = "the client was dropped before the outcome was known";
        CallError(Box::new(Failure::new(Code::Cancelled, Executed::Maybe, text)))
    }

    /// Creates the error of a nested call whose served call was cancelled.
    pub(crate) fn served_call_cancelled() -> CallError {
        let text = "the call was cancelled: the handler that made it serves a call that was cancelled";
        CallError(Box::new(Failure::new(Code::Cancelled, Executed::Maybe, text)))
    }

    /// Creates the error of a call whose client lost its driver. Only a bug of this library ends an I/O thread; an inline driver also ends
    /// with the program's runtime.
    pub(crate) fn driver_lost() -> CallError {
        let text =
            "the client ended before the outcome was known: its runtime was dropped, or it panicked (see stderr)";
        CallError(Box::new(Failure::new(Code::Internal, Executed::Maybe, text)))
    }

    /// Creates the error of a call that does not wait while a queue of the client is full.
    pub(crate) fn queue_full(what: &str, max: usize, setting: &str) -> CallError {
        let text = format!("{max} {what} are already queued in this client: retry later or raise {setting}");
        CallError::new(Code::ResourceExhausted, text)
    }

    /// Creates the error of a call whose deadline passed while a queue of the client was full.
    pub(crate) fn queue_timeout(what: &str, max: usize, timeout: Option<Timeout>) -> CallError {
        let timeout = timeout.map_or_else(String::new, |timeout| timeout.to_string());
        let text = format!(
            "{timeout} passed while the call was queued in this client behind {max} {what}: the call was never sent"
        );
        CallError::new(Code::DeadlineExceeded, text)
    }
}

impl From<Box<Failure>> for CallError {
    fn from(failure: Box<Failure>) -> CallError {
        CallError(failure)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for CallError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;

    use super::*;

    #[test]
    fn an_error_has_the_size_of_a_pointer() {
        assert_eq!(size_of::<Result<(), CallError>>(), size_of::<usize>());
    }

    #[test]
    fn details_decode_as_their_type_or_are_absent() {
        let mut failure = Failure::new(Code::Unknown, Executed::Yes, "cannot divide 1 by 0");
        assert!(CallError::from(Box::new(failure.clone())).details::<u32>().is_none());
        failure.details = body::encode(&(1, 0)).unwrap();
        let error = CallError::from(Box::new(failure));
        assert_eq!(error.details::<(u32, u32)>().unwrap().unwrap(), (1, 0));
        assert!(error.details::<&str>().unwrap().is_err());
    }

    #[test]
    fn an_invalid_result_is_an_error_with_the_expected_and_the_actual_type() {
        let body = body::encode("five").unwrap();
        let error = CallError::invalid_result::<i64>(&body::decode::<i64>(&body).unwrap_err());
        assert_eq!((error.code(), error.executed()), (Code::Internal, Executed::Yes));
        assert!(error.message().contains("is not a valid i64: expected an integer (i64), got text"), "{error}");
    }

    #[test]
    fn only_a_call_that_certainly_did_not_run_is_safe_to_repeat() {
        for (executed, safe) in [(Executed::No, true), (Executed::Maybe, false), (Executed::Yes, false)] {
            let failure = Failure { details: Bytes::new(), ..Failure::new(Code::Unavailable, executed, "gone") };
            assert_eq!(CallError::from(Box::new(failure)).is_safe_to_repeat(), safe);
        }
    }
}
