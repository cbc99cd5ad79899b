//! The arguments of calls: an array of positions, or a map of positions and names (PROTOCOL.md, section 8).

use bytes::Bytes;
use callboard_core::body::{Head, Malformed};
use pyo3::{
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};

use super::{
    decode::{self, Decoder, Place},
    encode::{entries, tuple, value},
    output::{self, Output},
    problem::Problem,
};

/// Positions and names.
type Arguments<'py> = (Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>);

/// Encodes the arguments of a call.
pub(super) fn encode(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Bytes> {
    output::build(args.py(), "", |out| match kwargs.filter(|kwargs| !kwargs.is_empty()) {
        None => tuple(out, args).map_err(|problem| problem.within("args")),
        Some(kwargs) => encode_map(out, args, kwargs),
    })
}

fn encode_map(out: &mut Output<'_>, args: &Bound<'_, PyTuple>, kwargs: &Bound<'_, PyDict>) -> Result<(), Problem> {
    Head::Map(Some((args.len() + kwargs.len()) as u64)).write(out.out);
    out.nested(|out| {
        for (index, argument) in args.iter_borrowed().enumerate() {
            Head::Unsigned(index as u64).write(out.out);
            value(out, &argument).map_err(|problem| problem.within(format!("[{index}]")).within("args"))?;
        }
        entries(out, kwargs).map_err(|problem| problem.within("kwargs"))
    })
}

/// Decodes the arguments of a call.
pub(super) fn decode<'py>(py: Python<'py>, body: &[u8]) -> PyResult<Arguments<'py>> {
    decode::read(py, body, |decoder| match decoder.reader.head()? {
        Head::Array(length) => {
            let positions = decoder.items(length, Place::Value, |py, items| PyTuple::new(py, items))?;
            Ok((positions, None))
        }
        Head::Map(length) => decode_map(decoder, length),
        Head::Break => Err(Malformed::UnexpectedBreak.into()),
        head => Err(Problem::invalid(format!(
            "arguments: expected an array of positions, or a map of names and positions, got {}",
            head.description()
        ))),
    })
}

fn decode_map<'py>(decoder: &mut Decoder<'py, '_>, length: Option<u64>) -> Result<Arguments<'py>, Problem> {
    let names = PyDict::new(decoder.py);
    let mut positions = Vec::new();
    decoder.pairs(length, |decoder| match decoder.reader.head()? {
        Head::Unsigned(position) => {
            positions.push((position, decoder.value(Place::Value)?));
            Ok(())
        }
        Head::Text(length) => {
            let name = PyString::new(decoder.py, &decoder.reader.text(length)?);
            if names.contains(&name)? {
                return Err(Problem::invalid(format!("argument {name}: given twice")));
            }
            Ok(names.set_item(name, decoder.value(Place::Value)?)?)
        }
        Head::Break => Err(Malformed::UnexpectedBreak.into()),
        head => Err(Problem::invalid(format!(
            "arguments: expected names and positions as keys, got {}",
            head.description()
        ))),
    })?;
    Ok((in_order(decoder.py, positions)?, Some(names).filter(|names| !names.is_empty())))
}

/// Returns the values by position, which must be 0, 1, 2 and so on.
fn in_order<'py>(
    py: Python<'py>,
    mut positions: Vec<(u64, Bound<'py, PyAny>)>,
) -> Result<Bound<'py, PyTuple>, Problem> {
    positions.sort_by_key(|(position, _)| *position);
    for (expected, (position, _)) in (0..).zip(&positions) {
        if *position > expected {
            return Err(Problem::invalid(format!("argument {expected}: missing, but argument {position} is given")));
        }
        if *position < expected {
            return Err(Problem::invalid(format!("argument {position}: given twice")));
        }
    }
    Ok(PyTuple::new(py, positions.into_iter().map(|(_, value)| value))?)
}
