//! Python objects to CBOR: the builtin types, and the choice by type for all others.

use bytes::Bytes;
use callboard_core::{
    body::{self, Head},
    wire::limits::DEPTH_MAX,
};
use pyo3::{
    exceptions::PyRuntimeError,
    prelude::*,
    types::{PyBool, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple},
};

use super::{number, problem::Problem, tagged::Tagged};

/// The tag of an array whose elements are a set.
pub(super) const TAG_SET: u64 = 258;

/// Returns the body of one value, which errors call `name`.
pub(super) fn body(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Bytes> {
    build(name, |encoder| encoder.value(value))
}

/// Returns the body that `write` encodes. Paths in errors start with `name`.
pub(super) fn build(name: &str, write: impl FnOnce(&mut Encoder<'_>) -> Result<(), Problem>) -> PyResult<Bytes> {
    body::build(|out| write(&mut Encoder { out, depth: DEPTH_MAX })).map_err(|problem| problem.of_value(name))
}

/// Writes one item after the other at the end of a buffer.
pub(super) struct Encoder<'o> {
    pub(super) out: &'o mut Vec<u8>,
    /// How many more levels may be opened.
    depth: usize,
}

impl Encoder<'_> {
    /// Writes a value of any type. The exact builtin types come first, because they are the common case and cost one comparison.
    pub(super) fn value(&mut self, value: &Bound<'_, PyAny>) -> Result<(), Problem> {
        if let Ok(text) = value.cast_exact::<PyString>() {
            return self.text(text);
        }
        if let Ok(value) = value.cast_exact::<PyInt>() {
            return number::encode_int(self.out, value);
        }
        if value.is_none() {
            Head::Null.write(self.out);
            return Ok(());
        }
        if let Ok(value) = value.cast_exact::<PyBool>() {
            Head::Bool(value.is_true()).write(self.out);
            return Ok(());
        }
        if let Ok(value) = value.cast_exact::<PyFloat>() {
            Head::Float(value.value()).write(self.out);
            return Ok(());
        }
        if let Ok(dict) = value.cast_exact::<PyDict>() {
            return self.dict(dict);
        }
        if let Ok(list) = value.cast_exact::<PyList>() {
            return self.list(list);
        }
        if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            return self.tuple(tuple);
        }
        if let Ok(bytes) = value.cast_exact::<PyBytes>() {
            self.bytes(bytes.as_bytes());
            return Ok(());
        }
        self.other(value)
    }

    /// Writes one level deeper.
    #[inline]
    pub(super) fn nested(&mut self, write: impl FnOnce(&mut Self) -> Result<(), Problem>) -> Result<(), Problem> {
        self.depth = self.depth.checked_sub(1).ok_or_else(too_deep)?;
        let result = write(self);
        self.depth += 1;
        result
    }

    pub(super) fn text(&mut self, text: &Bound<'_, PyString>) -> Result<(), Problem> {
        let text = text.to_str().map_err(|_| lone_surrogate(text))?;
        Head::Text(Some(text.len() as u64)).write(self.out);
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        Head::Bytes(Some(bytes.len() as u64)).write(self.out);
        self.out.extend_from_slice(bytes);
    }

    fn list(&mut self, list: &Bound<'_, PyList>) -> Result<(), Problem> {
        let length = list.len();
        Head::Array(Some(length as u64)).write(self.out);
        self.nested(|this| {
            (0..length).try_for_each(|index| {
                let item = list.get_item(index).map_err(|_| changed("list"))?;
                this.value(&item).map_err(|problem| problem.within(format!("[{index}]")))
            })
        })
    }

    pub(super) fn tuple(&mut self, tuple: &Bound<'_, PyTuple>) -> Result<(), Problem> {
        Head::Array(Some(tuple.len() as u64)).write(self.out);
        self.nested(|this| {
            tuple
                .iter_borrowed()
                .enumerate()
                .try_for_each(|(index, item)| this.value(&item).map_err(|problem| problem.within(format!("[{index}]"))))
        })
    }

    fn dict(&mut self, dict: &Bound<'_, PyDict>) -> Result<(), Problem> {
        Head::Map(Some(dict.len() as u64)).write(self.out);
        self.nested(|this| this.entries(dict))
    }

    /// Writes exactly as many entries as the dict has at the start. The iterator of PyO3 panics if the size of the dict changes, so it is
    /// checked before each step: values with code of their own, or other threads during it, may change the dict.
    pub(super) fn entries(&mut self, dict: &Bound<'_, PyDict>) -> Result<(), Problem> {
        let length = dict.len();
        let mut entries = dict.iter();
        for _ in 0..length {
            if dict.len() != length {
                return Err(changed("dict"));
            }
            let (key, value) = entries.next().ok_or_else(|| changed("dict"))?;
            self.value(&key).map_err(|problem| problem.within("<key>"))?;
            self.value(&value).map_err(|problem| problem.within_key(&key))?;
        }
        Ok(())
    }

    fn set(&mut self, set: &Bound<'_, PyAny>) -> Result<(), Problem> {
        Head::Tag(TAG_SET).write(self.out);
        let length = set.len()?;
        Head::Array(Some(length as u64)).write(self.out);
        self.nested(|this| {
            this.nested(|this| {
                let mut items = set.try_iter()?;
                for _ in 0..length {
                    let item = items.next().ok_or_else(|| changed("set"))??;
                    this.value(&item).map_err(|problem| problem.within("<element>"))?;
                }
                Ok(())
            })
        })
    }

    /// Writes a value that is not of an exact builtin type.
    fn other(&mut self, value: &Bound<'_, PyAny>) -> Result<(), Problem> {
        if let Ok(tagged) = value.cast::<Tagged>() {
            return self.tagged(tagged.get(), value.py());
        }
        if value.is_instance_of::<PySet>() || value.is_instance_of::<PyFrozenSet>() {
            return self.set(value);
        }
        self.builtin_subclass(value).unwrap_or_else(|| Err(unsupported(value)))
    }

    /// Writes a value of a subclass of a builtin type, such as a `NamedTuple` or an `OrderedDict`, as the builtin type.
    fn builtin_subclass(&mut self, value: &Bound<'_, PyAny>) -> Option<Result<(), Problem>> {
        if let Ok(text) = value.cast::<PyString>() {
            return Some(self.text(text));
        }
        if let Ok(value) = value.cast::<PyInt>() {
            return Some(number::encode_int(self.out, value));
        }
        if let Ok(value) = value.cast::<PyFloat>() {
            Head::Float(value.value()).write(self.out);
            return Some(Ok(()));
        }
        if let Ok(dict) = value.cast::<PyDict>() {
            return Some(self.dict(dict));
        }
        if let Ok(list) = value.cast::<PyList>() {
            return Some(self.list(list));
        }
        if let Ok(tuple) = value.cast::<PyTuple>() {
            return Some(self.tuple(tuple));
        }
        let bytes = value.cast::<PyBytes>().ok()?;
        self.bytes(bytes.as_bytes());
        Some(Ok(()))
    }

    fn tagged(&mut self, tagged: &Tagged, py: Python<'_>) -> Result<(), Problem> {
        Head::Tag(tagged.tag).write(self.out);
        self.nested(|this| this.value(tagged.value.bind(py)).map_err(|problem| problem.within(".value")))
    }
}

#[cold]
fn too_deep() -> Problem {
    Problem::invalid(format!("nests deeper than {DEPTH_MAX} levels, or contains itself"))
}

#[cold]
fn changed(what: &str) -> Problem {
    PyRuntimeError::new_err(format!("the {what} changed while it was encoded")).into()
}

#[cold]
fn lone_surrogate(text: &Bound<'_, PyString>) -> Problem {
    let shown = text.repr().map_or_else(|_| String::new(), |repr| repr.to_string_lossy().into_owned());
    let shown: String = shown.chars().take(40).collect();
    Problem::unsupported(format!("cannot send text with a lone surrogate, which UTF-8 cannot represent: {shown}"))
}

#[cold]
fn unsupported(value: &Bound<'_, PyAny>) -> Problem {
    match value.get_type().fully_qualified_name() {
        Ok(name) => Problem::unsupported(format!("cannot send a value of type {name}")),
        Err(error) => error.into(),
    }
}
