//! The Python exceptions of failed calls.

use std::time::Duration;

use callboard_clients::{CallError, ConnectError, ConnectErrorKind};
use pyo3::{
    exceptions::{PyRuntimeError, PyValueError},
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::PyBytes,
};

/// Returns the exception of a failed call: an instance of `callboard.Error`, or of an exception class that the program registered.
pub(crate) fn call_error(py: Python<'_>, error: &CallError) -> PyErr {
    exception(py, error).unwrap_or_else(|error| error)
}

fn exception(py: Python<'_>, error: &CallError) -> PyResult<PyErr> {
    let arguments = (
        error.code().name(),
        error.message(),
        error.type_name(),
        error.executed().to_string(),
        error.attempt(),
        error.worker(),
        PyBytes::new(py, error.encoded_details()),
        error.retry_after().map(|after: Duration| after.as_secs_f64()),
        error.call_id().map(|id| id.to_string()),
    );
    errors(py, "from_failure")?.call1(arguments).map(PyErr::from_value)
}

/// Returns the exception of a client that could not connect.
pub(crate) fn connect_error(py: Python<'_>, error: &ConnectError) -> PyErr {
    let text = error.to_string();
    match error.kind() {
        ConnectErrorKind::BadAddress => PyValueError::new_err(text),
        ConnectErrorKind::NoBroker => named(py, "NoBroker", text),
        ConnectErrorKind::Rejected => named(py, "Rejected", text),
        _ => PyRuntimeError::new_err(text),
    }
}

/// Returns an exception of the class `name` of the module of errors.
pub(crate) fn named(py: Python<'_>, name: &str, text: String) -> PyErr {
    let exception = errors(py, name).and_then(|class| class.call1((text,)));
    exception.map_or_else(|error| error, PyErr::from_value)
}

/// Returns an attribute of the module of errors.
fn errors<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = MODULE.get_or_try_init(py, || py.import(intern!(py, "callboard._errors")).map(Bound::unbind))?;
    module.bind(py).getattr(name)
}
