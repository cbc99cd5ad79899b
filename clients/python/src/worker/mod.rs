//! The worker: Python functions as handlers.

use pyo3::prelude::*;

/// Adds the classes to the module.
pub(crate) fn register(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
