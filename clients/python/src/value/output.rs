//! The body that is being written: its bytes, its depth, and large buffers that are inserted at the end.

use bytes::Bytes;
use callboard_core::{
    body::{self, Head},
    wire::limits::DEPTH_MAX,
};
use pyo3::{
    intern,
    prelude::*,
    pybacked::PyBackedBytes,
    types::{PyBytes, PyList, PyMemoryView, PyString},
};

use super::problem::Problem;

/// A buffer of at least so many bytes is copied once, into the finished body. A smaller one is copied twice, which costs
/// less than the second pass over the body.
const INSERTED_BYTES_MIN: usize = 4096;

/// Writes one item after the other at the end of a body.
pub(super) struct Output<'o> {
    pub(super) out: &'o mut Vec<u8>,
    /// How many more levels may be opened.
    depth: usize,
    insertions: &'o mut Vec<Insertion>,
}

/// A buffer whose content belongs at a position of the bytes. The view keeps the buffer from being resized.
struct Insertion {
    position: usize,
    view: Py<PyMemoryView>,
}

/// Returns the body that `write` writes. Paths in errors start with `name`.
pub(super) fn build(
    py: Python<'_>,
    name: &str,
    write: impl FnOnce(&mut Output<'_>) -> Result<(), Problem>,
) -> PyResult<Bytes> {
    let mut insertions = Vec::new();
    let written = body::build(|out| write(&mut Output { out, depth: DEPTH_MAX, insertions: &mut insertions }));
    let body = written.map_err(|problem| problem.of_value(name))?;
    if insertions.is_empty() { Ok(body) } else { join(py, &body, insertions) }
}

/// Returns the body with all insertions. `bytes.join` reads the buffers without a copy of their own.
fn join(py: Python<'_>, body: &[u8], insertions: Vec<Insertion>) -> PyResult<Bytes> {
    let parts = PyList::empty(py);
    let mut start = 0;
    for Insertion { position, view } in insertions {
        parts.append(PyBytes::new(py, &body[start..position]))?;
        parts.append(view)?;
        start = position;
    }
    parts.append(PyBytes::new(py, &body[start..]))?;
    let whole = PyBytes::new(py, b"").call_method1(intern!(py, "join"), (parts,))?.cast_into::<PyBytes>()?;
    Ok(Bytes::from_owner(PyBackedBytes::from(whole)))
}

impl Output<'_> {
    /// Writes one level deeper.
    #[inline]
    pub(super) fn nested(&mut self, write: impl FnOnce(&mut Self) -> Result<(), Problem>) -> Result<(), Problem> {
        self.depth = self.depth.checked_sub(1).ok_or_else(too_deep)?;
        let result = write(self);
        self.depth += 1;
        result
    }

    /// Returns an error unless `levels` more levels can be opened.
    pub(super) fn check_depth(&self, levels: usize) -> Result<(), Problem> {
        if self.depth < levels { Err(too_deep()) } else { Ok(()) }
    }

    /// Writes a text.
    #[inline]
    pub(super) fn text(&mut self, text: &Bound<'_, PyString>) -> Result<(), Problem> {
        let text = text.to_str().map_err(|_| lone_surrogate(text))?;
        Head::Text(Some(text.len() as u64)).write(self.out);
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// Writes a byte string.
    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        Head::Bytes(Some(bytes.len() as u64)).write(self.out);
        self.out.extend_from_slice(bytes);
    }

    /// Writes a byte string with the content of an object that has a contiguous buffer.
    pub(super) fn buffer(&mut self, buffer: &Bound<'_, PyAny>) -> PyResult<()> {
        let view = PyMemoryView::from(buffer)?;
        Head::Bytes(Some(view.getattr(intern!(buffer.py(), "nbytes"))?.extract()?)).write(self.out);
        self.content(view)
    }

    /// Appends the content of a contiguous buffer, without a head.
    pub(super) fn content(&mut self, view: Bound<'_, PyMemoryView>) -> PyResult<()> {
        let py = view.py();
        let length: usize = view.getattr(intern!(py, "nbytes"))?.extract()?;
        if length < INSERTED_BYTES_MIN {
            let bytes = view.call_method0(intern!(py, "tobytes"))?;
            self.out.extend_from_slice(bytes.cast::<PyBytes>()?.as_bytes());
        } else {
            self.insertions.push(Insertion { position: self.out.len(), view: view.unbind() });
        }
        Ok(())
    }
}

#[cold]
fn too_deep() -> Problem {
    Problem::invalid(format!("nests deeper than {DEPTH_MAX} levels, or contains itself"))
}

#[cold]
fn lone_surrogate(text: &Bound<'_, PyString>) -> Problem {
    let shown = text.repr().map_or_else(|_| String::new(), |repr| repr.to_string_lossy().into_owned());
    let shown: String = shown.chars().take(40).collect();
    Problem::unsupported(format!("cannot send text with a lone surrogate, which UTF-8 cannot represent: {shown}"))
}
