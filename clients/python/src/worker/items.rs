//! The items that a caller sends, as a Python iterator.

use callboard_workers::DynamicStreams;
use pyo3::prelude::*;

use super::failure;
use crate::{value, wait};

/// The items that the caller sends. Iterate over them; the caller waits while the handler does not.
#[pyclass(module = "callboard", frozen)]
pub(crate) struct Items {
    streams: DynamicStreams,
    /// Checks and converts an item, if the method declares its type.
    convert: Option<Py<PyAny>>,
}

impl Items {
    pub(super) fn new(streams: DynamicStreams, convert: Option<Py<PyAny>>) -> Items {
        Items { streams, convert }
    }
}

#[pymethods]
impl Items {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let received = wait::block_on(py, self.streams.receive_item())?;
        let Some(item) = received.map_err(|error| failure::to_exception(py, error))? else { return Ok(None) };
        decode_item(py, &item, self.convert.as_ref()).map(Some)
    }
}

/// Decodes and checks an item.
pub(super) fn decode_item(py: Python<'_>, item: &[u8], convert: Option<&Py<PyAny>>) -> PyResult<Py<PyAny>> {
    let item = value::decode(py, item)?;
    match convert {
        Some(convert) => convert.call1(py, (item, "item")),
        None => Ok(item),
    }
}
