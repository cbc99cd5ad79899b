//! One thing that a program waits for: the outcome of a call, the next item of a stream, the end of a close.

use std::{future::Future, pin::Pin};

use bytes::Bytes;
use callboard_clients::{Answers, CallError, Encoded};
use pyo3::{IntoPyObjectExt as _, exceptions::PyRuntimeError, prelude::*, sync::PyOnceLock, types::PyList};

use crate::{error, value};

/// A future of an outcome that is not a Python object yet.
pub(super) type Operation = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// The outcome of an operation. It is converted to Python objects on the thread that wants it.
pub(super) enum Outcome {
    /// An encoded value.
    Value(Bytes),
    /// The results of a broadcast, by worker.
    Answers(Vec<(String, Result<Bytes, CallError>)>),
    /// The end of a stream.
    End,
    /// Done, without a value.
    Done,
    /// The call failed.
    Failed(CallError),
    /// Something else failed.
    Error(String),
}

impl Outcome {
    /// Converts the outcome to a Python object; `None` is the end of a stream.
    ///
    /// # Errors
    /// The exception of the failure. `ValueError` if the value cannot be represented in Python.
    pub(super) fn into_python(self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        match self {
            Outcome::Value(body) => value::decode(py, &body).map(Some),
            Outcome::Answers(answers) => python_answers(py, answers).map(Some),
            Outcome::End => Ok(None),
            Outcome::Done => Ok(Some(py.None())),
            Outcome::Failed(error) => Err(error::call_error(py, &error)),
            Outcome::Error(text) => Err(PyRuntimeError::new_err(text)),
        }
    }
}

impl From<Result<Encoded, CallError>> for Outcome {
    fn from(result: Result<Encoded, CallError>) -> Outcome {
        result.map_or_else(Outcome::Failed, |value| Outcome::Value(value.0))
    }
}

impl From<Result<Answers<Encoded>, CallError>> for Outcome {
    fn from(result: Result<Answers<Encoded>, CallError>) -> Outcome {
        let answer =
            |answer: callboard_clients::WorkerAnswer<Encoded>| (answer.worker, answer.result.map(|value| value.0));
        result.map_or_else(Outcome::Failed, |answers| Outcome::Answers(answers.into_iter().map(answer).collect()))
    }
}

/// A list of `(worker, result, exception)`.
fn python_answers(py: Python<'_>, answers: Vec<(String, Result<Bytes, CallError>)>) -> PyResult<Py<PyAny>> {
    let list = PyList::empty(py);
    for (worker, result) in answers {
        let result = result.map_err(|error| error::call_error(py, &error)).and_then(|body| value::decode(py, &body));
        let answer = match result {
            Ok(result) => (worker, Some(result), None),
            Err(error) => (worker, None, Some(error.into_value(py))),
        };
        list.append(answer)?;
    }
    list.into_py_any(py)
}

/// The object that is delivered at the end of a stream.
pub(super) fn end_of_stream(py: Python<'_>) -> PyResult<Py<PyAny>> {
    static END: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let end = END.get_or_try_init(py, || py.import("builtins")?.getattr("object")?.call0().map(Bound::unbind))?;
    Ok(end.clone_ref(py))
}
