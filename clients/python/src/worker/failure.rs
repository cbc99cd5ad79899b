//! The failures of handlers: Python exceptions as they travel to the caller.

use std::time::Duration;

use bytes::Bytes;
use callboard_core::wire::{
    limits::{FAILURE_MESSAGE_BYTES_MAX, FAILURE_TYPE_BYTES_MAX},
    status::{Code, Executed, Failure},
};
use callboard_workers::{Context, Error};
use pyo3::{
    exceptions::PyException,
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyList, PyType},
};

use crate::{error::named, value};

/// The maximum size of a traceback. Its end is kept.
const TRACEBACK_BYTES_MAX: usize = 16 * 1024;

/// Returns the failure of a handler that raised an exception.
///
/// An instance of `callboard.Error` sets its own code. Any other `Exception` is the method's own error. What is not an `Exception`,
/// such as `SystemExit`, is INTERNAL.
pub(super) fn from_exception(py: Python<'_>, error: &PyErr, with_traceback: bool) -> Box<Failure> {
    let failure = if is_callboard_error(py, error) {
        declared(py, error, with_traceback)
    } else if error.is_instance_of::<PyException>(py) {
        own(py, error, with_traceback)
    } else {
        Ok(ended(py, error))
    };
    failure.unwrap_or_else(|second| ended(py, &second))
}

/// Logs the traceback of an exception with the id of the call, unless it is a `callboard.Error`, which is meant for the caller.
pub(super) fn log(py: Python<'_>, error: &PyErr, call: &Context) {
    if is_callboard_error(py, error) {
        return;
    }
    let arguments = (error.value(py), error.traceback(py), call.call_id().to_string(), call.method());
    let log = py.import(intern!(py, "callboard._worker")).and_then(|module| module.getattr("log_exception"));
    // A log that fails must not change the outcome of the call.
    let _ = log.and_then(|log| log.call1(arguments));
}

/// Returns the failure of a result that cannot be encoded.
pub(super) fn unencodable(py: Python<'_>, error: &PyErr) -> Box<Failure> {
    let text = format!("the result cannot be encoded: {}", message(py, error));
    failure(Code::Internal, &class_name(py, error), &text, Bytes::new())
}

/// Returns the exception that a handler gets when its streams fail.
pub(super) fn to_exception(py: Python<'_>, error: Error) -> PyErr {
    let failure = error.into_failure();
    let name = if failure.code == Code::Cancelled { "Cancelled" } else { "ResourceExhausted" };
    named(py, name, failure.message.to_string())
}

/// Returns the failure of a `callboard.Error`, with its own code, message and details.
fn declared(py: Python<'_>, error: &PyErr, with_traceback: bool) -> PyResult<Box<Failure>> {
    let exception = error.value(py);
    let name: String = exception.getattr(intern!(py, "code"))?.extract()?;
    let code = Code::ALL.into_iter().find(|code| code.name() == name).unwrap_or(Code::Unknown);
    let text: String = exception.getattr(intern!(py, "message"))?.extract()?;
    let mut type_name: String = exception.getattr(intern!(py, "type_name"))?.extract()?;
    if type_name.is_empty() && !is_library_class(py, error) {
        type_name = class_name(py, error);
    }
    let details = exception.getattr(intern!(py, "details"))?;
    let details = match details.is_none() {
        false => value::encode(&details, "details")?,
        true => own_details(py, error, with_traceback)?,
    };
    let after: Option<f64> = exception.getattr(intern!(py, "retry_after"))?.extract()?;
    let retry_after = after.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(Box::new(Failure { retry_after, ..*failure(code, &type_name, &text, details) }))
}

/// Returns the failure of a method's own exception.
fn own(py: Python<'_>, error: &PyErr, with_traceback: bool) -> PyResult<Box<Failure>> {
    let details = own_details(py, error, with_traceback)?;
    Ok(failure(Code::Unknown, &class_name(py, error), &message(py, error), details))
}

/// Returns the failure of a handler that ended by what is not an error of its own.
fn ended(py: Python<'_>, error: &PyErr) -> Box<Failure> {
    let text = format!("the handler raised {}: {}", class_name(py, error), message(py, error));
    failure(Code::Internal, "Panic", &text, Bytes::new())
}

/// Encodes the arguments of an exception, as far as they can be encoded, and its traceback.
fn own_details(py: Python<'_>, error: &PyErr, with_traceback: bool) -> PyResult<Bytes> {
    let details = PyDict::new(py);
    let args = PyList::empty(py);
    for argument in error.value(py).getattr(intern!(py, "args"))?.try_iter()? {
        let argument = argument?;
        if value::encode(&argument, "args").is_ok() {
            args.append(argument)?;
        }
    }
    details.set_item(intern!(py, "args"), args)?;
    if with_traceback {
        details.set_item(intern!(py, "traceback"), traceback(py, error)?)?;
    }
    value::encode(&details, "details")
}

/// Returns the traceback as Python prints it.
fn traceback(py: Python<'_>, error: &PyErr) -> PyResult<String> {
    let format = py.import(intern!(py, "traceback"))?.getattr(intern!(py, "format_exception"))?;
    let lines: Vec<String> = format.call1((error.get_type(py), error.value(py), error.traceback(py)))?.extract()?;
    let text = lines.concat();
    let start = text.ceil_char_boundary(text.len().saturating_sub(TRACEBACK_BYTES_MAX));
    Ok(text[start..].to_owned())
}

fn failure(code: Code, type_name: &str, message: &str, details: Bytes) -> Box<Failure> {
    let message = &message[..message.floor_char_boundary(FAILURE_MESSAGE_BYTES_MAX)];
    let type_name = &type_name[..type_name.floor_char_boundary(FAILURE_TYPE_BYTES_MAX)];
    Box::new(Failure { type_name: type_name.into(), details, ..Failure::new(code, Executed::Yes, message) })
}

fn class_name(py: Python<'_>, error: &PyErr) -> String {
    error.get_type(py).name().map_or_else(|_| "Exception".to_owned(), |name| name.to_string())
}

fn message(py: Python<'_>, error: &PyErr) -> String {
    error.value(py).str().map_or_else(|_| String::new(), |text| text.to_string_lossy().into_owned())
}

fn is_callboard_error(py: Python<'_>, error: &PyErr) -> bool {
    error_class(py).is_ok_and(|class| error.is_instance(py, class))
}

/// Returns whether the class is one of Callboard: then it adds nothing to the status code.
fn is_library_class(py: Python<'_>, error: &PyErr) -> bool {
    let module = error.get_type(py).getattr(intern!(py, "__module__")).and_then(|module| module.extract::<String>());
    module.is_ok_and(|module| module.starts_with("callboard."))
}

fn error_class(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "callboard._errors", "Error").map(|class| class.as_any())
}
