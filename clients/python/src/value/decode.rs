//! CBOR to Python objects.

use std::borrow::Cow;

use callboard_core::{
    body::{Head, Malformed, Reader},
    wire::limits::DEPTH_MAX,
};
use pyo3::{
    IntoPyObjectExt,
    exceptions::PyTypeError,
    prelude::*,
    types::{PyBytes, PyDict, PyFrozenSet, PyList, PySet, PyString, PyTuple},
};

use super::{
    encode::TAG_SET,
    problem::Problem,
    types::{Element, Tagged, array, decimal, number, object, time},
};

/// The tag that marks bytes as CBOR, and means nothing else.
const TAG_SELF_DESCRIBED: u64 = 55799;

/// An object, or why it cannot be decoded.
type Decoded<'py> = Result<Bound<'py, PyAny>, Problem>;

/// Returns the value of a body.
pub(super) fn body<'py>(py: Python<'py>, body: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    read(py, body, |decoder| decoder.value(Place::Value))
}

/// Reads a whole body with `read`.
pub(super) fn read<'py, 'b, T>(
    py: Python<'py>,
    body: &'b [u8],
    read: impl FnOnce(&mut Decoder<'py, 'b>) -> Result<T, Problem>,
) -> PyResult<T> {
    let mut decoder = Decoder { py, reader: Reader::new(body), depth: DEPTH_MAX, items: Vec::new() };
    let value = read(&mut decoder).and_then(|value| match decoder.reader.rest() {
        [] => Ok(value),
        _ => Err(Malformed::TrailingBytes.into()),
    });
    value.map_err(|problem| problem.of_body(body.len() - decoder.reader.rest().len()))
}

/// Where an item is: it decides between a type that is mutable and one that is hashable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A value: arrays are lists, and sets are sets.
    Value,
    /// A key of a map or an element of a set: arrays are tuples, and sets are frozen.
    Key,
}

/// Reads one item after the other as Python objects.
pub(super) struct Decoder<'py, 'b> {
    pub(super) py: Python<'py>,
    pub(super) reader: Reader<'b>,
    /// How many more levels may be entered: nesting costs stack, and bodies come from untrusted peers.
    depth: usize,
    /// The items of the arrays that are open, so that no array needs a buffer of its own.
    items: Vec<Bound<'py, PyAny>>,
}

impl<'py, 'b> Decoder<'py, 'b> {
    /// Reads the next item.
    pub(super) fn value(&mut self, place: Place) -> Decoded<'py> {
        let py = self.py;
        match self.reader.head()? {
            Head::Text(length) => Ok(PyString::new(py, &self.reader.text(length)?).into_any()),
            Head::Unsigned(value) => Ok(value.into_bound_py_any(py)?),
            Head::Negative(magnitude) => Ok(number::negative(py, magnitude)?),
            Head::Float(value) => Ok(value.into_bound_py_any(py)?),
            Head::Bool(value) => Ok(value.into_bound_py_any(py)?),
            // RFC 8949 section 6.1 maps undefined and the simple values to null, too.
            Head::Null | Head::Undefined | Head::Simple(_) => Ok(py.None().into_bound(py)),
            Head::Map(length) => self.map(length, place),
            Head::Array(length) => self.array(length, place),
            Head::Bytes(length) => Ok(PyBytes::new(py, &self.reader.bytes(length)?).into_any()),
            Head::Tag(tag) => self.nested(|this| this.tagged(tag, place)),
            Head::Break => Err(Malformed::UnexpectedBreak.into()),
        }
    }

    /// Runs `read` one level deeper.
    #[inline]
    pub(super) fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Problem>) -> Result<T, Problem> {
        self.depth = self.depth.checked_sub(1).ok_or(Malformed::TooDeep)?;
        let value = read(self);
        self.depth += 1;
        value
    }

    /// Returns an error if more items are announced than there are bytes.
    #[inline]
    fn check_length(&self, length: Option<u64>) -> Result<(), Malformed> {
        match length {
            Some(length) if length > self.reader.rest().len() as u64 => Err(Malformed::Truncated),
            _ => Ok(()),
        }
    }

    /// Whether an array or a map, of whose announced items `left` are left, has another.
    #[inline]
    fn more(&mut self, left: &mut Option<u64>) -> Result<bool, Malformed> {
        match left {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None => Ok(!self.reader.at_break()?),
        }
    }

    /// Reads the items of an array, and passes them to `make`.
    #[inline]
    pub(super) fn items<T>(
        &mut self,
        length: Option<u64>,
        place: Place,
        make: impl FnOnce(Python<'py>, std::vec::Drain<'_, Bound<'py, PyAny>>) -> PyResult<T>,
    ) -> Result<T, Problem> {
        self.check_length(length)?;
        let start = self.items.len();
        let mut left = length;
        self.nested(|this| {
            while this.more(&mut left)? {
                let item = this.value(place)?;
                this.items.push(item);
            }
            Ok(())
        })?;
        Ok(make(self.py, self.items.drain(start..))?)
    }

    fn array(&mut self, length: Option<u64>, place: Place) -> Decoded<'py> {
        match place {
            Place::Value => self.items(length, place, |py, items| Ok(PyList::new(py, items)?.into_any())),
            Place::Key => self.items(length, place, |py, items| Ok(PyTuple::new(py, items)?.into_any())),
        }
    }

    fn map(&mut self, length: Option<u64>, place: Place) -> Decoded<'py> {
        if place == Place::Key {
            return Err(Problem::invalid("a map cannot be a key of a dict or an element of a set in Python"));
        }
        self.entries(length).map(Bound::into_any)
    }

    /// Reads the entries of a map. Of entries with equal keys, the last counts.
    fn entries(&mut self, length: Option<u64>) -> Result<Bound<'py, PyDict>, Problem> {
        let dict = PyDict::new(self.py);
        self.pairs(length, |this| {
            let key = this.value(Place::Key)?;
            let value = this.value(Place::Value)?;
            dict.set_item(&key, value).map_err(|error| this.unhashable(&key, error))
        })?;
        Ok(dict)
    }

    /// Runs `read` for each pair of a map.
    #[inline]
    pub(super) fn pairs(
        &mut self,
        length: Option<u64>,
        mut read: impl FnMut(&mut Self) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.check_length(length)?;
        let mut left = length;
        self.nested(|this| {
            while this.more(&mut left)? {
                read(this)?;
            }
            Ok(())
        })
    }

    /// Reads the item of a tag.
    fn tagged(&mut self, tag: u64, place: Place) -> Decoded<'py> {
        let py = self.py;
        match tag {
            number::TAG_BIGNUM | number::TAG_BIGNUM_NEGATIVE => number::bignum(py, tag, &self.bytes_of(tag)?),
            decimal::TAG_DECIMAL => self.decimal(),
            time::TAG_DATETIME => time::decode_datetime(py, &self.text_of(tag)?),
            time::TAG_EPOCH => time::decode_epoch(&self.value(place)?),
            time::TAG_DATE => time::decode_date(py, &self.text_of(tag)?),
            time::TAG_DAYS => time::decode_days(&self.value(place)?),
            time::TAG_DURATION => self.duration(),
            object::TAG_UUID => object::decode_uuid(py, &self.bytes_of(tag)?),
            TAG_SET => self.set(place),
            TAG_SELF_DESCRIBED => self.value(place),
            array::TAG_DIMENSIONS => self.dimensions(),
            array::TAG_HOMOGENEOUS => Ok(array::decode_homogeneous(self.value(place)?)?),
            _ => match Element::of_tag(tag) {
                Some(element) => self.typed_array(tag, element),
                None => {
                    let value = self.value(place)?;
                    self.unknown(tag, value)
                }
            },
        }
    }

    /// Reads the byte string of a tag.
    fn bytes_of(&mut self, tag: u64) -> Result<Cow<'b, [u8]>, Problem> {
        match self.reader.head()? {
            Head::Bytes(length) => Ok(self.reader.bytes(length)?),
            head => Err(unexpected(tag, "bytes", head)),
        }
    }

    /// Reads the text of a tag.
    fn text_of(&mut self, tag: u64) -> Result<Cow<'b, str>, Problem> {
        match self.reader.head()? {
            Head::Text(length) => Ok(self.reader.text(length)?),
            head => Err(unexpected(tag, "text", head)),
        }
    }

    /// Reads the head of the array of a tag.
    fn array_of(&mut self, tag: u64) -> Result<Option<u64>, Problem> {
        match self.reader.head()? {
            Head::Array(length) => Ok(length),
            head => Err(unexpected(tag, "an array", head)),
        }
    }

    fn decimal(&mut self) -> Decoded<'py> {
        let length = self.array_of(decimal::TAG_DECIMAL)?;
        let parts = self.items(length, Place::Key, |_, items| Ok(items.collect::<Vec<_>>()))?;
        match &parts[..] {
            [exponent, mantissa] => decimal::decode(exponent, mantissa),
            _ => Err(Problem::invalid("tag 4: expected an array of two integers")),
        }
    }

    /// Reads a duration. One with parts that `timedelta` cannot hold stays tagged.
    fn duration(&mut self) -> Decoded<'py> {
        let parts = match self.reader.head()? {
            Head::Map(length) => self.entries(length)?,
            head => return Err(unexpected(time::TAG_DURATION, "a map", head)),
        };
        match time::decode_duration(&parts)? {
            Some(duration) => Ok(duration),
            None => self.unknown(time::TAG_DURATION, parts.into_any()),
        }
    }

    /// Reads a typed array. One that neither numpy nor the module `array` can hold stays tagged.
    fn typed_array(&mut self, tag: u64, element: Element) -> Decoded<'py> {
        let content = self.bytes_of(tag)?;
        match array::decode_typed(self.py, element, &content)? {
            Some(array) => Ok(array),
            None => self.unknown(tag, PyBytes::new(self.py, &content).into_any()),
        }
    }

    /// Reads an array of several dimensions. One without numpy, or of other elements, stays tagged.
    fn dimensions(&mut self) -> Decoded<'py> {
        let length = self.array_of(array::TAG_DIMENSIONS)?;
        let parts = self.items(length, Place::Value, |_, items| Ok(items.collect::<Vec<_>>()))?;
        match array::decode_dimensions(&parts)? {
            Some(array) => Ok(array),
            None => self.unknown(array::TAG_DIMENSIONS, PyList::new(self.py, parts)?.into_any()),
        }
    }

    fn unknown(&self, tag: u64, value: Bound<'py, PyAny>) -> Decoded<'py> {
        Ok(Tagged::new(tag, value.unbind()).into_bound_py_any(self.py)?)
    }

    fn set(&mut self, place: Place) -> Decoded<'py> {
        let length = self.array_of(TAG_SET)?;
        let py = self.py;
        let made = self.items(length, Place::Key, |py, items| match place {
            Place::Value => Ok(PySet::new(py, items).map(Bound::into_any)),
            Place::Key => Ok(PyFrozenSet::new(py, items).map(Bound::into_any)),
        })?;
        made.map_err(|error| Problem::rejected(py, "set", error))
    }

    #[cold]
    fn unhashable(&self, key: &Bound<'py, PyAny>, error: PyErr) -> Problem {
        match error.is_instance_of::<PyTypeError>(self.py) {
            true => Problem::invalid(format!("a value of type {} cannot be a key of a dict", key.get_type())),
            false => error.into(),
        }
    }
}

/// Returns the error of a tag whose item has the wrong type.
#[cold]
pub(super) fn unexpected(tag: u64, expected: &str, got: Head) -> Problem {
    match got {
        Head::Break => Malformed::UnexpectedBreak.into(),
        got => Problem::invalid(format!("tag {tag}: expected {expected}, got {}", got.description())),
    }
}
