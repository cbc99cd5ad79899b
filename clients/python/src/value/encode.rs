//! Python objects to CBOR: the builtin types, and the choice by type for all others.

use bytes::Bytes;
use callboard_core::body::Head;
use pyo3::{
    exceptions::PyRuntimeError,
    intern,
    prelude::*,
    types::{
        PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PyMemoryView, PySet, PyString,
        PyTuple,
    },
};

use super::{
    output::{self, Output},
    problem::Problem,
    types::{Tagged, array, decimal, number, object, time},
};

/// The tag of an array whose elements are a set.
pub(super) const TAG_SET: u64 = 258;

/// Returns the body of one value, which errors call `name`.
pub(super) fn body(object: &Bound<'_, PyAny>, name: &str) -> PyResult<Bytes> {
    output::build(object.py(), name, |out| value(out, object))
}

/// Writes a value of any type. The exact builtin types come first, because they are the common case and cost one comparison.
pub(super) fn value(out: &mut Output<'_>, value: &Bound<'_, PyAny>) -> Result<(), Problem> {
    if let Ok(text) = value.cast_exact::<PyString>() {
        return out.text(text);
    }
    if let Ok(value) = value.cast_exact::<PyInt>() {
        return int(out, value);
    }
    if value.is_none() {
        Head::Null.write(out.out);
        return Ok(());
    }
    if let Ok(value) = value.cast_exact::<PyBool>() {
        Head::Bool(value.is_true()).write(out.out);
        return Ok(());
    }
    if let Ok(value) = value.cast_exact::<PyFloat>() {
        Head::Float(value.value()).write(out.out);
        return Ok(());
    }
    if let Ok(value) = value.cast_exact::<PyDict>() {
        return dict(out, value);
    }
    if let Ok(value) = value.cast_exact::<PyList>() {
        return list(out, value);
    }
    if let Ok(value) = value.cast_exact::<PyTuple>() {
        return tuple(out, value);
    }
    if let Ok(value) = value.cast_exact::<PyBytes>() {
        out.bytes(value.as_bytes());
        return Ok(());
    }
    other(out, value)
}

#[inline]
fn int(out: &mut Output<'_>, value: &Bound<'_, PyInt>) -> Result<(), Problem> {
    match value.extract() {
        Ok(value) => number::encode_i64(out.out, value),
        Err(_) => {
            out.check_depth(1)?;
            number::encode_large(out.out, value)?;
        }
    }
    Ok(())
}

fn list(out: &mut Output<'_>, list: &Bound<'_, PyList>) -> Result<(), Problem> {
    let length = list.len();
    Head::Array(Some(length as u64)).write(out.out);
    out.nested(|out| {
        (0..length).try_for_each(|index| {
            let item = list.get_item(index).map_err(|_| changed("list"))?;
            value(out, &item).map_err(|problem| problem.within(format!("[{index}]")))
        })
    })
}

/// Writes a tuple as an array.
pub(super) fn tuple(out: &mut Output<'_>, tuple: &Bound<'_, PyTuple>) -> Result<(), Problem> {
    Head::Array(Some(tuple.len() as u64)).write(out.out);
    out.nested(|out| {
        tuple
            .iter_borrowed()
            .enumerate()
            .try_for_each(|(index, item)| value(out, &item).map_err(|problem| problem.within(format!("[{index}]"))))
    })
}

fn dict(out: &mut Output<'_>, dict: &Bound<'_, PyDict>) -> Result<(), Problem> {
    Head::Map(Some(dict.len() as u64)).write(out.out);
    out.nested(|out| entries(out, dict))
}

/// Writes exactly as many entries as the dict has at the start.
///
/// The iterator of PyO3 panics if the size of the dict changes. So the size is checked before each step: values with code of their
/// own, or other threads during it, may change the dict.
pub(super) fn entries(out: &mut Output<'_>, dict: &Bound<'_, PyDict>) -> Result<(), Problem> {
    let length = dict.len();
    let mut entries = dict.iter();
    for _ in 0..length {
        if dict.len() != length {
            return Err(changed("dict"));
        }
        let (key, item) = entries.next().ok_or_else(|| changed("dict"))?;
        value(out, &key).map_err(|problem| problem.within("<key>"))?;
        value(out, &item).map_err(|problem| problem.within_key(&key))?;
    }
    Ok(())
}

fn set(out: &mut Output<'_>, set: &Bound<'_, PyAny>) -> Result<(), Problem> {
    let length = set.len()?;
    Head::Tag(TAG_SET).write(out.out);
    Head::Array(Some(length as u64)).write(out.out);
    out.nested(|out| {
        out.nested(|out| {
            let mut items = set.try_iter()?;
            for _ in 0..length {
                let item = items.next().ok_or_else(|| changed("set"))??;
                value(out, &item).map_err(|problem| problem.within("<element>"))?;
            }
            Ok(())
        })
    })
}

/// Writes a value that is not of an exact builtin type.
fn other(out: &mut Output<'_>, value: &Bound<'_, PyAny>) -> Result<(), Problem> {
    if let Ok(value) = value.cast::<Tagged>() {
        return tagged(out, value);
    }
    // Before the builtin types and dates: the members of an enum can be instances of them.
    if object::ENUM.is_type_of(value)? {
        return replaced(out, &value.getattr(intern!(value.py(), "value"))?);
    }
    if standard_type(out, value)? || builtin_subclass(out, value)? || numpy_type(out, value)? {
        return Ok(());
    }
    if let Some(fields) = object::dataclass_fields(value)? {
        return dataclass(out, value, &fields);
    }
    if object::PYDANTIC_MODEL.is_type_of(value)? {
        return replaced(out, &value.call_method0(intern!(value.py(), "model_dump"))?);
    }
    Err(unsupported(value))
}

/// Writes the value that stands for an object. It counts as a level, because objects that stand for themselves never end.
fn replaced(out: &mut Output<'_>, by: &Bound<'_, PyAny>) -> Result<(), Problem> {
    out.nested(|out| value(out, by))
}

fn tagged(out: &mut Output<'_>, tagged: &Bound<'_, Tagged>) -> Result<(), Problem> {
    let content = tagged.get().value.bind(tagged.py());
    Head::Tag(tagged.get().tag).write(out.out);
    out.nested(|out| value(out, content).map_err(|problem| problem.within(".value")))
}

/// Writes a value of another type of the standard library. Returns whether it did.
fn standard_type(out: &mut Output<'_>, value: &Bound<'_, PyAny>) -> Result<bool, Problem> {
    let py = value.py();
    if value.is_instance_of::<PySet>() || value.is_instance_of::<PyFrozenSet>() {
        set(out, value)?;
    } else if value.is_instance_of::<PyByteArray>() {
        out.buffer(value)?;
    } else if let Ok(view) = value.cast::<PyMemoryView>() {
        memoryview(out, view)?;
    } else if time::DATETIME.is_type_of(value)? {
        out.check_depth(1)?;
        time::encode_datetime(out.out, value)?;
    } else if time::DATE.is_type_of(value)? {
        out.check_depth(1)?;
        time::encode_date(out.out, value)?;
    } else if time::TIMEDELTA.is_type_of(value)? {
        out.check_depth(2)?;
        time::encode_timedelta(out.out, value)?;
    } else if decimal::DECIMAL.is_type_of(value)? {
        // Its mantissa can be a bignum.
        out.check_depth(3)?;
        decimal::encode(out.out, value)?;
    } else if object::UUID.is_type_of(value)? {
        out.check_depth(1)?;
        Head::Tag(object::TAG_UUID).write(out.out);
        out.bytes(value.getattr(intern!(py, "bytes"))?.extract().map_err(PyErr::from)?);
    } else if array::ARRAY.is_type_of(value)? {
        array::encode_array(out, value)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// Writes a view of bytes. Views of other elements are rejected, because the receiver would not know the type.
fn memoryview(out: &mut Output<'_>, view: &Bound<'_, PyMemoryView>) -> Result<(), Problem> {
    let py = view.py();
    let format: String = view.getattr(intern!(py, "format"))?.extract()?;
    if !matches!(format.as_str(), "B" | "b" | "c") {
        return Err(Problem::unsupported(format!(
            "cannot send a memoryview of format {format:?}; use view.cast(\"B\")"
        )));
    }
    match view.getattr(intern!(py, "c_contiguous"))?.is_truthy()? {
        true => out.buffer(view)?,
        false => out.buffer(&view.call_method0(intern!(py, "tobytes"))?)?,
    }
    Ok(())
}

/// Writes a value of a subclass of a builtin type, such as a `NamedTuple` or an `OrderedDict`, as the builtin type.
/// Returns whether it did.
fn builtin_subclass(out: &mut Output<'_>, value: &Bound<'_, PyAny>) -> Result<bool, Problem> {
    if let Ok(value) = value.cast::<PyString>() {
        out.text(value)?;
    } else if let Ok(value) = value.cast::<PyInt>() {
        int(out, value)?;
    } else if let Ok(value) = value.cast::<PyFloat>() {
        Head::Float(value.value()).write(out.out);
    } else if let Ok(value) = value.cast::<PyDict>() {
        dict(out, value)?;
    } else if let Ok(value) = value.cast::<PyList>() {
        list(out, value)?;
    } else if let Ok(value) = value.cast::<PyTuple>() {
        tuple(out, value)?;
    } else if let Ok(value) = value.cast::<PyBytes>() {
        out.bytes(value.as_bytes());
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// Writes an array or a scalar of numpy. Returns whether it did.
fn numpy_type(out: &mut Output<'_>, value: &Bound<'_, PyAny>) -> Result<bool, Problem> {
    let py = value.py();
    if array::NUMPY_SCALAR.is_type_of(value)? {
        let item = value.call_method0(intern!(py, "item"))?;
        // Python has no type for long doubles and structures.
        if array::NUMPY_SCALAR.is_type_of(&item)? {
            return Err(unsupported(value));
        }
        replaced(out, &item)?;
    } else if !array::NUMPY_ARRAY.is_type_of(value)? {
        return Ok(false);
    } else if value.getattr(intern!(py, "ndim"))?.is_truthy()? {
        array::encode_numpy(out, value)?;
    } else {
        replaced(out, &value.call_method1(intern!(py, "__getitem__"), ((),))?)?;
    }
    Ok(true)
}

/// Writes a dataclass as a map of its fields.
fn dataclass(out: &mut Output<'_>, object: &Bound<'_, PyAny>, fields: &[Bound<'_, PyString>]) -> Result<(), Problem> {
    Head::Map(Some(fields.len() as u64)).write(out.out);
    out.nested(|out| {
        fields.iter().try_for_each(|name| {
            out.text(name)?;
            value(out, &object.getattr(name)?).map_err(|problem| problem.within(format!(".{name}")))
        })
    })
}

#[cold]
fn changed(what: &str) -> Problem {
    PyRuntimeError::new_err(format!("the {what} changed while it was encoded")).into()
}

#[cold]
fn unsupported(value: &Bound<'_, PyAny>) -> Problem {
    let name = match value.get_type().fully_qualified_name() {
        Ok(name) => name.to_string_lossy().into_owned(),
        Err(error) => return error.into(),
    };
    let hint = match time::TIME.is_type_of(value) {
        Ok(true) => "; send it as text: value.isoformat()",
        _ => "",
    };
    Problem::unsupported(format!("cannot send a value of type {name}{hint}"))
}
