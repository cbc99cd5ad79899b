//! Python types that are imported when they are first needed.

use pyo3::{prelude::*, sync::PyOnceLock, types::PyDict};

/// An attribute of a module of the standard library.
pub(crate) struct Imported {
    module: &'static str,
    name: &'static str,
    object: PyOnceLock<Py<PyAny>>,
}

impl Imported {
    /// Creates it without an import.
    pub(crate) const fn new(module: &'static str, name: &'static str) -> Imported {
        Imported { module, name, object: PyOnceLock::new() }
    }

    /// Returns the object.
    ///
    /// # Errors
    /// If the import fails.
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyAny>> {
        self.object.import(py, self.module, self.name)
    }

    /// Whether `value` is an instance of this type.
    ///
    /// # Errors
    /// If the import fails, or the check of the type raises.
    pub(crate) fn is_type_of(&self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        value.is_instance(self.get(value.py())?)
    }
}

/// An attribute of an optional package, which is not imported here: before the program imports it, no value can have its type.
pub(crate) struct Optional(Imported);

impl Optional {
    /// Creates it without an import.
    pub(crate) const fn new(module: &'static str, name: &'static str) -> Optional {
        Optional(Imported::new(module, name))
    }

    /// Whether the program has imported the package, and `value` is an instance of this type.
    ///
    /// # Errors
    /// If the check of the type raises.
    pub(crate) fn is_type_of(&self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.is_loaded(value.py())? && self.0.is_type_of(value)?)
    }

    fn is_loaded(&self, py: Python<'_>) -> PyResult<bool> {
        static MODULES: Imported = Imported::new("sys", "modules");
        if self.0.object.get(py).is_some() {
            return Ok(true);
        }
        let Some(module) = MODULES.get(py)?.cast::<PyDict>()?.get_item(self.0.module)? else { return Ok(false) };
        // A package whose import is under way has no such attribute yet.
        module.hasattr(self.0.name)
    }
}
