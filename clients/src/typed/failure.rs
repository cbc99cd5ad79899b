//! The errors of typed calls.

use std::{error::Error, fmt};

use callboard_core::wire::status::{Code, Executed};
use serde::de::DeserializeOwned;

use crate::error::call_error::CallError;

/// The error of a call of a method that returns `Result<T, E>`.
///
/// ```
/// use callboard_clients::Failed;
///
/// # #[derive(Debug)] struct NoSuchUser { id: u32 }
/// fn explain(failed: Failed<NoSuchUser>) -> String {
///     match failed {
///         Failed::Application(NoSuchUser { id }) => format!("there is no user {id}"),
///         Failed::Call(error) => format!("the call failed: {error}"),
///     }
/// }
/// # assert_eq!(explain(Failed::Application(NoSuchUser { id: 7 })), "there is no user 7");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed<E> {
    /// The method ran and returned this error.
    Application(E),
    /// The call failed for another reason, such as no worker, a timeout or invalid arguments.
    Call(CallError),
}

/// The error type of a typed call: [`CallError`], or [`Failed<E>`] with an `E` that serde can deserialize.
#[diagnostic::on_unimplemented(
    message = "a method of a service cannot return the error in `{Self}`",
    note = "an error of a service's method is a type of your own that is Serialize, Deserialize and Display",
    note = "implement callboard::ErrorCode for it to give it a status code"
)]
pub trait CallFailure: Send + 'static {
    /// Converts the error of a call. `error_type` is the name of the method's error type on the wire, or empty.
    #[doc(hidden)]
    fn from_call(error: CallError, error_type: &str) -> Self;
}

/// Converts the error of an outcome to the error type of its method.
pub(crate) fn typed<T, F: CallFailure>(outcome: Result<T, CallError>, error_type: &str) -> Result<T, F> {
    outcome.map_err(|error| F::from_call(error, error_type))
}

impl CallFailure for CallError {
    fn from_call(error: CallError, _error_type: &str) -> CallError {
        error
    }
}

impl<E: DeserializeOwned + Send + 'static> CallFailure for Failed<E> {
    fn from_call(error: CallError, error_type: &str) -> Failed<E> {
        // The library's own errors may have the same type name: argument errors did not run, and panics have no details.
        if error.type_name() == error_type
            && error.executed() == Executed::Yes
            && let Some(Ok(application)) = error.details()
        {
            return Failed::Application(application);
        }
        Failed::Call(error)
    }
}

impl<E> Failed<E> {
    /// Returns the method's own error, if this is one.
    pub fn application(self) -> Option<E> {
        match self {
            Failed::Application(error) => Some(error),
            Failed::Call(_) => None,
        }
    }

    /// Returns the status code of a failed call. `None` for the method's own error.
    pub fn code(&self) -> Option<Code> {
        match self {
            Failed::Application(_) => None,
            Failed::Call(error) => Some(error.code()),
        }
    }
}

impl<E> From<CallError> for Failed<E> {
    fn from(error: CallError) -> Failed<E> {
        Failed::Call(error)
    }
}

impl<E: fmt::Display> fmt::Display for Failed<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failed::Application(error) => error.fmt(f),
            Failed::Call(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> Error for Failed<E> {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use callboard_core::{body, wire::status::Failure};

    use super::*;

    fn failure(type_name: &'static str, executed: Executed) -> CallError {
        let failure = Failure::new(Code::Unknown, executed, "there is no user 7");
        Box::new(Failure { type_name: type_name.into(), details: body::encode(&7).unwrap(), ..failure }).into()
    }

    #[test]
    fn an_application_error_is_decoded_to_its_type() {
        assert_eq!(Failed::from_call(failure("NoSuchUser", Executed::Yes), "NoSuchUser"), Failed::Application(7));
    }

    #[test]
    fn any_other_error_stays_a_call_error() {
        for error in [failure("Other", Executed::Yes), failure("NoSuchUser", Executed::No)] {
            assert_eq!(Failed::<u32>::from_call(error.clone(), "NoSuchUser"), Failed::Call(error));
        }
        let undecodable = failure("NoSuchUser", Executed::Yes);
        assert_eq!(Failed::<String>::from_call(undecodable.clone(), "NoSuchUser"), Failed::Call(undecodable));
    }
}
