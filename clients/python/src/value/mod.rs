//! The conversion of Python objects to CBOR and back, in one pass, without an intermediate tree.
//!
//! | module | contents |
//! |---|---|
//! | `arguments` | the arguments of calls |
//! | `encode` | Python objects to CBOR: the builtin types, and the choice by type for all others |
//! | `decode` | CBOR to Python objects |
//! | `output` | the body that is being written |
//! | `problem` | the errors of both directions, with the path or the position |
//! | `types` | the types that travel as tags, each in both directions |

mod arguments;
mod decode;
mod encode;
mod output;
mod problem;
mod types;

use bytes::Bytes;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyTuple},
};

/// Encodes a value. `name` is what an error calls it, such as `result`.
///
/// # Errors
/// `TypeError` with the path of the part that cannot be encoded: `result["when"]`. `ValueError` if the value nests too deep, or
/// contains itself.
pub(crate) fn encode(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Bytes> {
    encode::body(value, name)
}

/// Encodes the arguments of a call: an array of positions, or a map if there are names (PROTOCOL.md, section 8).
///
/// # Errors
/// As for [`encode`]. The path starts with `args[0]` or `kwargs["name"]`.
pub(crate) fn encode_arguments(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Bytes> {
    arguments::encode(args, kwargs)
}

/// Decodes a body.
///
/// # Errors
/// `ValueError` if the body is not exactly one well-formed CBOR item that Python can represent.
pub(crate) fn decode(py: Python<'_>, body: &[u8]) -> PyResult<Py<PyAny>> {
    decode::body(py, body).map(Bound::unbind)
}

/// Decodes the arguments of a call.
///
/// # Errors
/// As for [`decode`]; also if the body is neither an array nor a map, an argument is given twice, or a position is missing.
pub(crate) fn decode_arguments<'py>(
    py: Python<'py>,
    body: &[u8],
) -> PyResult<(Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>)> {
    arguments::decode(py, body)
}

/// Adds the class `Tagged`, and the functions for tests and tools, to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<types::Tagged>()?;
    module.add_function(wrap_pyfunction!(encode_to_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(decode_from_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(encode_arguments_to_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(decode_arguments_from_bytes, module)?)
}

/// Encode a value as the CBOR that a call sends. For tests and tools.
#[pyfunction(name = "encode")]
fn encode_to_bytes<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(value.py(), &encode(value, "value")?))
}

/// Decode the CBOR of one value. For tests and tools.
#[pyfunction(name = "decode")]
fn decode_from_bytes(py: Python<'_>, body: &[u8]) -> PyResult<Py<PyAny>> {
    decode(py, body)
}

/// Encode the arguments of a call. For tests and tools.
#[pyfunction(name = "encode_arguments", signature = (*args, **kwargs))]
fn encode_arguments_to_bytes<'py>(
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(args.py(), &encode_arguments(args, kwargs)?))
}

/// Decode the arguments of a call: a tuple of positions, and a dict of names or None. For tests and tools.
#[pyfunction(name = "decode_arguments")]
fn decode_arguments_from_bytes<'py>(
    py: Python<'py>,
    body: &[u8],
) -> PyResult<(Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>)> {
    decode_arguments(py, body)
}
