//! `Decimal`, as an exponent of ten and an integer (tag 4).

use callboard_core::body::Head;
use pyo3::{
    intern,
    prelude::*,
    types::{PyInt, PyTuple},
};

use super::{imported::Imported, number};
use crate::value::problem::Problem;

/// The tag of an array of an exponent of ten and an integer.
pub(crate) const TAG_DECIMAL: u64 = 4;

/// Digits of a decimal. The conversion between the bases of `int` and `Decimal` takes quadratic time: 0.4 ms for so many
/// digits, and minutes for a mantissa of a mebibyte, which an untrusted peer could send.
const DIGITS_MAX: usize = 2466;
/// Bits that hold [`DIGITS_MAX`] digits.
const BITS_MAX: usize = 8192;

pub(crate) static DECIMAL: Imported = Imported::new("decimal", "Decimal");

/// Encodes a finite `Decimal` exactly.
pub(crate) fn encode(out: &mut Vec<u8>, value: &Bound<'_, PyAny>) -> Result<(), Problem> {
    let py = value.py();
    let parts = value.call_method0(intern!(py, "as_tuple"))?;
    let (sign, digits, exponent): (u8, Bound<'_, PyTuple>, Bound<'_, PyAny>) = parts.extract()?;
    let Ok(exponent) = exponent.cast_into::<PyInt>() else {
        return Err(Problem::unsupported(format!("cannot send Decimal('{value}'): it is not finite")));
    };
    if digits.len() > DIGITS_MAX {
        let message = format!("cannot send a Decimal of {} digits: {DIGITS_MAX} is the limit", digits.len());
        return Err(Problem::invalid(message));
    }
    let mantissa = DECIMAL.get(py)?.call1(((sign, digits, 0),))?;
    let mantissa = py.get_type::<PyInt>().call1((mantissa,))?.cast_into::<PyInt>().map_err(PyErr::from)?;
    Head::Tag(TAG_DECIMAL).write(out);
    Head::Array(Some(2)).write(out);
    number::encode_int(out, &exponent)?;
    Ok(number::encode_int(out, &mantissa)?)
}

/// Returns the `Decimal` of an exponent and a mantissa.
pub(crate) fn decode<'py>(
    exponent: &Bound<'py, PyAny>,
    mantissa: &Bound<'py, PyAny>,
) -> Result<Bound<'py, PyAny>, Problem> {
    let py = mantissa.py();
    let integers = exponent.is_exact_instance_of::<PyInt>() && mantissa.is_exact_instance_of::<PyInt>();
    if !integers {
        return Err(Problem::invalid("tag 4: expected an array of two integers"));
    }
    if mantissa.call_method0(intern!(py, "bit_length"))?.extract::<usize>()? > BITS_MAX {
        return Err(Problem::invalid(format!("tag 4: a decimal of more than {DIGITS_MAX} digits")));
    }
    scaled(exponent, mantissa)
        .map_err(|error| Problem::rejected(py, "decimal", error))?
        .ok_or_else(|| Problem::invalid("tag 4: the exponent is out of the range of Decimal"))
}

/// Returns the decimal, or `None` if the exponent is out of range. Only constructors are exact: arithmetic rounds to the context.
fn scaled<'py>(exponent: &Bound<'py, PyAny>, mantissa: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = mantissa.py();
    let decimal = DECIMAL.get(py)?;
    let value = match mantissa.extract::<i64>() {
        Ok(mantissa) => decimal.call1((format!("{mantissa}E{}", exponent.extract::<i64>()?),))?,
        Err(_) => {
            let parts = decimal.call1((mantissa,))?.call_method0(intern!(py, "as_tuple"))?;
            let (sign, digits, _): (u8, Bound<'_, PyTuple>, i64) = parts.extract()?;
            decimal.call1(((sign, digits, exponent),))?
        }
    };
    // An exponent out of range becomes the nearest one, or an infinity.
    let (_, _, actual) =
        value.call_method0(intern!(py, "as_tuple"))?.extract::<(u8, Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
    Ok(actual.eq(exponent)?.then_some(value))
}
