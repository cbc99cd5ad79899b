//! How a call failed, for its caller.

use std::{any::type_name, error::Error, fmt, time::Duration};

use callboard_core::{
    body::{self, DecodeError, EncodeError},
    client::Timeout,
    wire::{
        affinity::AffinityKeyError,
        ids::CallId,
        method::NameError,
        status::{Code, Executed, Failure, Spent},
    },
};
use serde::Deserialize;

/// How a call failed: a code to act on, whether the handler ran, and a sentence for people.
///
/// It is as large as a pointer. `Debug` is the sentence, too, for a `main` that returns it.
///
/// ```no_run
/// use callboard_clients::{Client, Code};
///
/// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let error = client.call::<f64>("calculator.div", (1, 0)).await.unwrap_err();
/// match error.code() {
///     // The function's own error: its type's name, its text, and itself as details.
///     Code::Unknown if error.type_name() == "DivisionByZero" => println!("{}", error.message()),
///     _ if error.is_safe_to_repeat() => println!("nothing was done yet: {error}"),
///     _ => return Err(error.into()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CallError(Box<Failure>);

impl CallError {
    /// What to act on: gRPC's codes and meanings.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Whether the handler ran.
    pub fn executed(&self) -> Executed {
        self.0.executed
    }

    /// Whether the call can be made again without running anything twice: it is certain that the handler did not run. A
    /// method that is `read` or `idempotent` can be called again in any case.
    pub fn is_safe_to_repeat(&self) -> bool {
        self.0.executed == Executed::No
    }

    /// The error's type: a function's own (`DivisionByZero`), or the library's (`ArgumentError`). Empty if it has none.
    pub fn type_name(&self) -> &str {
        &self.0.type_name
    }

    /// A sentence for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the error carries, as `E`: of a function's own error, the error itself. `None` if it carries nothing.
    ///
    /// # Errors
    /// [`DecodeError`] if what it carries is no `E`.
    pub fn details<'a, E: Deserialize<'a>>(&'a self) -> Option<Result<E, DecodeError>> {
        let details = &self.0.details;
        (!details.is_empty()).then(|| body::decode(details))
    }

    /// What the error carries, as it came: one encoded CBOR item, or nothing.
    pub fn encoded_details(&self) -> &[u8] {
        &self.0.details
    }

    /// Which attempt failed, from 1; `None` if the call was not sent to a worker, as far as is known.
    pub fn attempt(&self) -> Option<u32> {
        (self.0.attempt > 0).then_some(self.0.attempt)
    }

    /// The worker that it was sent to last, by its name; `None` if it was sent to none, as far as is known.
    pub fn worker(&self) -> Option<&str> {
        (!self.0.worker.is_empty()).then(|| &*self.0.worker)
    }

    /// When trying again makes sense, where the broker knows.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The call as logs and `callboard why` know it, `3f9a1c02-17`; `None` if it was never sent.
    pub fn call_id(&self) -> Option<CallId> {
        self.0.call
    }

    /// Where its time went, as far as is known.
    pub fn spent(&self) -> Spent {
        self.0.spent
    }

    fn new(code: Code, message: impl Into<String>) -> CallError {
        CallError(Box::new(Failure::new(code, Executed::No, message.into())))
    }

    /// A method's name that is none.
    pub(crate) fn bad_name(error: &NameError) -> CallError {
        CallError::new(Code::InvalidArgument, error.to_string())
    }

    /// A key that is none.
    pub(crate) fn bad_key(error: &AffinityKeyError) -> CallError {
        CallError::new(Code::InvalidArgument, error.to_string())
    }

    /// A call that is to be two things which exclude each other.
    pub(crate) fn contradiction(text: &str) -> CallError {
        CallError::new(Code::InvalidArgument, text)
    }

    /// Arguments that have no CBOR form.
    pub(crate) fn bad_arguments(method: &str, error: &EncodeError) -> CallError {
        CallError::new(Code::InvalidArgument, format!("the arguments of {method} cannot be sent: {error}"))
    }

    /// A result that is not what its caller asked for.
    pub(crate) fn bad_result<T>(error: &DecodeError) -> CallError {
        let text = format!("the method ran, but its result is no {}: {error}", type_name::<T>());
        CallError(Box::new(Failure::new(Code::Internal, Executed::Yes, text)))
    }

    /// An item that is not what its reader asked for.
    pub(crate) fn bad_item<T>(error: &DecodeError) -> CallError {
        let text = format!("an item of the stream is no {}: {error}", type_name::<T>());
        CallError(Box::new(Failure::new(Code::Internal, Executed::Yes, text)))
    }

    /// The caller dropped a part of the call.
    pub(crate) fn given_up() -> CallError {
        let text = "the call was cancelled: its caller dropped the reading end";
        CallError(Box::new(Failure::new(Code::Cancelled, Executed::Maybe, text)))
    }

    /// The caller dropped the sender of items without saying the end.
    pub(crate) fn unended() -> CallError {
        let text = "the call was cancelled: its sender was dropped without end(), so its items are not all";
        CallError(Box::new(Failure::new(Code::Cancelled, Executed::Maybe, text)))
    }

    /// The client was closed before the call was made.
    pub(crate) fn closed() -> CallError {
        CallError::new(Code::FailedPrecondition, "the client is closed: make another one with Client::connect")
    }

    /// A polled client was dropped while a callback was pending.
    pub(crate) fn abandoned() -> CallError {
        let text = "the client was dropped before the outcome was known";
        CallError(Box::new(Failure::new(Code::Cancelled, Executed::Maybe, text)))
    }

    /// The call that is served here, for which this one was made, was given up.
    pub(crate) fn served_call_given_up() -> CallError {
        let text = "nobody waits any more for the call that is served here, for which this one was made";
        CallError(Box::new(Failure::new(Code::Cancelled, Executed::Maybe, text)))
    }

    /// The client's thread is gone, and the call with it. Not before a bug of ours.
    pub(crate) fn lost() -> CallError {
        let text = "the client's own thread ended before the outcome was known; its panic message says why";
        CallError(Box::new(Failure::new(Code::Internal, Executed::Maybe, text)))
    }

    /// A queue of the client's is full, and the caller did not want to wait.
    pub(crate) fn full(what: &str, max: usize, setting: &str) -> CallError {
        let text = format!("{max} {what} already wait in this client: try again later, or raise {setting}");
        CallError::new(Code::ResourceExhausted, text)
    }

    /// A queue of the client's was full for as long as the call could wait.
    pub(crate) fn no_room_in_time(what: &str, max: usize, timeout: Option<Timeout>) -> CallError {
        let timeout = timeout.map_or_else(String::new, |timeout| timeout.to_string());
        let text = format!(
            "{timeout} passed before there was room in this client, behind {max} {what}: the call was never sent"
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
    fn an_error_is_as_large_as_a_pointer() {
        assert_eq!(size_of::<Result<(), CallError>>(), size_of::<usize>());
    }

    #[test]
    fn details_are_absent_or_what_they_are() {
        let mut failure = Failure::new(Code::Unknown, Executed::Yes, "cannot divide 1 by 0");
        assert!(CallError::from(Box::new(failure.clone())).details::<u32>().is_none());
        failure.details = body::encode(&(1, 0)).unwrap();
        let error = CallError::from(Box::new(failure));
        assert_eq!(error.details::<(u32, u32)>().unwrap().unwrap(), (1, 0));
        assert!(error.details::<&str>().unwrap().is_err());
    }

    #[test]
    fn a_result_of_another_type_says_what_was_expected_and_what_came() {
        let body = body::encode("five").unwrap();
        let error = CallError::bad_result::<i64>(&body::decode::<i64>(&body).unwrap_err());
        assert_eq!((error.code(), error.executed()), (Code::Internal, Executed::Yes));
        assert!(error.message().contains("is no i64: expected an integer (i64), got text"), "{error}");
    }

    #[test]
    fn only_what_certainly_did_not_run_is_safe_to_repeat() {
        for (executed, safe) in [(Executed::No, true), (Executed::Maybe, false), (Executed::Yes, false)] {
            let failure = Failure { details: Bytes::new(), ..Failure::new(Code::Unavailable, executed, "gone") };
            assert_eq!(CallError::from(Box::new(failure)).is_safe_to_repeat(), safe);
        }
    }
}
