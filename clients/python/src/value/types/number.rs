//! Integers of any size.

use callboard_core::body::Head;
use pyo3::{
    intern,
    prelude::*,
    types::{PyBytes, PyInt},
};

use crate::value::problem::Problem;

/// The tag of a byte string that is an unsigned integer.
pub(crate) const TAG_BIGNUM: u64 = 2;
/// The tag of a byte string n that stands for -1 - n.
pub(crate) const TAG_BIGNUM_NEGATIVE: u64 = 3;

/// Encodes an `int` of any size.
pub(crate) fn encode_int(out: &mut Vec<u8>, value: &Bound<'_, PyInt>) -> PyResult<()> {
    match value.extract() {
        Ok(value) => encode_i64(out, value),
        Err(_) => encode_large(out, value)?,
    }
    Ok(())
}

/// Encodes an integer of 64 bits.
#[inline]
pub(crate) fn encode_i64(out: &mut Vec<u8>, value: i64) {
    match u64::try_from(value) {
        Ok(value) => Head::Unsigned(value).write(out),
        // In two's complement, -1 - n is n with every bit inverted.
        Err(_) => Head::Negative(!value as u64).write(out),
    }
}

/// Encodes an `int` of more than 64 bits (or of 64 bits without a sign), as a bignum if CBOR's own integers do not hold it.
#[cold]
pub(crate) fn encode_large(out: &mut Vec<u8>, value: &Bound<'_, PyInt>) -> PyResult<()> {
    let negative = value.lt(0)?;
    let magnitude = if negative { value.bitnot()? } else { value.as_any().clone() };
    match (magnitude.extract::<u64>(), negative) {
        (Ok(magnitude), false) => Head::Unsigned(magnitude).write(out),
        (Ok(magnitude), true) => Head::Negative(magnitude).write(out),
        (Err(_), _) => {
            Head::Tag(if negative { TAG_BIGNUM_NEGATIVE } else { TAG_BIGNUM }).write(out);
            let digits = digits_of(&magnitude)?;
            Head::Bytes(Some(digits.as_bytes().len() as u64)).write(out);
            out.extend_from_slice(digits.as_bytes());
        }
    }
    Ok(())
}

/// Returns the bytes of an integer that is not negative, most significant first.
fn digits_of<'py>(magnitude: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let py = magnitude.py();
    let bits: usize = magnitude.call_method0(intern!(py, "bit_length"))?.extract()?;
    let digits = magnitude.call_method1(intern!(py, "to_bytes"), (bits.div_ceil(8), intern!(py, "big")))?;
    Ok(digits.cast_into::<PyBytes>()?)
}

/// Returns the integer -1 - `magnitude`.
pub(crate) fn negative<'py>(py: Python<'py>, magnitude: u64) -> PyResult<Bound<'py, PyAny>> {
    match i64::try_from(magnitude) {
        Ok(magnitude) => Ok((!magnitude).into_pyobject(py)?.into_any()),
        Err(_) => magnitude.into_pyobject(py)?.bitnot(),
    }
}

/// Returns the integer of a bignum's tag and bytes.
pub(crate) fn bignum<'py>(py: Python<'py>, tag: u64, digits: &[u8]) -> Result<Bound<'py, PyAny>, Problem> {
    let arguments = (PyBytes::new(py, digits), intern!(py, "big"));
    let magnitude = py.get_type::<PyInt>().call_method1(intern!(py, "from_bytes"), arguments)?;
    Ok(if tag == TAG_BIGNUM { magnitude } else { magnitude.bitnot()? })
}
