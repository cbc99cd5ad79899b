//! The class `Tagged`, for tags that have no Python type.

use pyo3::{basic::CompareOp, prelude::*, types::PyType};

/// A CBOR tag that has no Python type, with the value that it marks.
///
/// Decoding returns it for unknown tags. It can be sent like any other value, and is then encoded as the same tag.
#[pyclass(frozen, module = "callboard", name = "Tagged")]
pub(crate) struct Tagged {
    /// The number of the tag.
    #[pyo3(get)]
    pub(crate) tag: u64,
    /// The value that the tag marks.
    #[pyo3(get)]
    pub(crate) value: Py<PyAny>,
}

#[pymethods]
impl Tagged {
    #[new]
    pub(crate) fn new(tag: u64, value: Py<PyAny>) -> Tagged {
        Tagged { tag, value }
    }

    #[classattr]
    fn __match_args__() -> (&'static str, &'static str) {
        ("tag", "value")
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Tagged({}, {})", self.tag, self.value.bind(py).repr()?))
    }

    fn __richcmp__(&self, other: &Bound<'_, PyAny>, operator: CompareOp) -> PyResult<Py<PyAny>> {
        let py = other.py();
        let Ok(other) = other.cast::<Tagged>() else { return Ok(py.NotImplemented()) };
        let other = other.get();
        let equal = || Ok::<bool, PyErr>(self.tag == other.tag && self.value.bind(py).eq(&other.value)?);
        Ok(match operator {
            CompareOp::Eq => equal()?.into_pyobject(py)?.to_owned().into_any().unbind(),
            CompareOp::Ne => (!equal()?).into_pyobject(py)?.to_owned().into_any().unbind(),
            _ => py.NotImplemented(),
        })
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        (self.tag, &self.value).into_pyobject(py)?.hash()
    }

    /// For `copy` and `pickle`.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyType>, (u64, Py<PyAny>)) {
        let this = slf.get();
        (slf.get_type(), (this.tag, this.value.clone_ref(slf.py())))
    }
}
