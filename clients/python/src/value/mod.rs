//! The conversion of Python objects to CBOR and back.

use bytes::Bytes;
use pyo3::{
    exceptions::PyNotImplementedError,
    prelude::*,
    types::{PyDict, PyTuple},
};

/// Encodes a value. `name` is what an error calls it, such as `result`.
///
/// # Errors
/// `TypeError` with the path of the part that cannot be encoded: `result["when"]`.
pub(crate) fn encode(_value: &Bound<'_, PyAny>, name: &str) -> PyResult<Bytes> {
    Err(PyNotImplementedError::new_err(name.to_owned()))
}

/// Encodes the arguments of a call: an array of positions, or a map if there are names (PROTOCOL.md, section 8).
///
/// # Errors
/// `TypeError` with the path of the part that cannot be encoded: `args[1]["when"]`, `kwargs["user"]`.
pub(crate) fn encode_arguments(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Bytes> {
    Err(PyNotImplementedError::new_err("arguments"))
}

/// Decodes a body.
///
/// # Errors
/// `ValueError` if the body is not exactly one well-formed CBOR item that Python can represent.
pub(crate) fn decode(_py: Python<'_>, _body: &[u8]) -> PyResult<Py<PyAny>> {
    Err(PyNotImplementedError::new_err("body"))
}

/// Decodes the arguments of a call.
///
/// # Errors
/// As for [`decode`]; also if the body is neither an array nor a map, or a position is missing.
#[expect(dead_code, reason = "the worker will use it")]
pub(crate) fn decode_arguments<'py>(
    _py: Python<'py>,
    _body: &[u8],
) -> PyResult<(Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>)> {
    Err(PyNotImplementedError::new_err("arguments"))
}

/// Adds the functions for tests to the module.
pub(crate) fn register(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
