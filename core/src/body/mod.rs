//! Bodies: Rust values as CBOR and back, and the arguments of calls.
//!
//! Any type that serde knows can travel. The conventions are ciborium's, which other languages read without effort: a
//! struct is a map with text keys, an enum its variant's name or a map from the name to the value, `None` and `()` are
//! null, and `serde_bytes` are byte strings. [`encode`] writes the shortest form; [`decode`] reads any
//! well-formed one: indefinite lengths, half floats, bignums and tags included, and an integer where a float is wanted, if no digit
//! is lost. A body may come from a stranger: what it announces costs nothing until it is there, and how deep it nests is
//! bounded.
//!
//! Both directions are our own, on purpose. ciborium takes three times as long and stops at 4 KiB of borrowed text;
//! minicbor-serde writes `char` as an integer, knows no tags, and widens nothing.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

mod access;
pub mod arguments;
mod compound;
mod decode;
mod encode;
mod error;
mod head;
mod integer;
mod tagged;
#[cfg(test)]
mod tests;

pub use arguments::{ArgumentError, ArgumentMap, ArgumentProblem, ArgumentReader, Arguments, EncodedArguments, named};
pub use error::{DecodeError, DecodeErrorKind, EncodeError};

use crate::wire::limits::DEPTH_MAX;

/// Room for a small body, so that it is written without growing.
const BODY_BYTES_EXPECTED: usize = 128;

/// The body that says `value`.
///
/// ```
/// use callboard_core::body;
///
/// let encoded = body::encode(&(2, "three"))?;
/// assert_eq!(body::decode::<(u64, String)>(&encoded)?, (2, "three".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// If the value nests deeper than [`DEPTH_MAX`], or its own `Serialize` fails.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, EncodeError> {
    let mut out = Vec::with_capacity(BODY_BYTES_EXPECTED);
    value.serialize(&mut encode::Serializer::new(&mut out))?;
    Ok(out.into())
}

/// The value that a body says. Texts and byte strings in one piece may be borrowed from it.
///
/// # Errors
///
/// If the body is not exactly one CBOR item, or not one that the type takes. The error says where and what was expected.
pub fn decode<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, DecodeError> {
    let mut deserializer = decode::Deserializer::new(head::Reader::new(body), DEPTH_MAX);
    let value = T::deserialize(&mut deserializer);
    let rest = deserializer.reader.rest();
    match value {
        Ok(value) if rest.is_empty() => Ok(value),
        Ok(_) => Err(DecodeError::from(head::Malformed::Trailing).at(body.len() - rest.len())),
        Err(error) => Err(error.at(body.len() - rest.len())),
    }
}

/// Whether `body` is exactly one CBOR item that nests at most [`DEPTH_MAX`] deep.
///
/// Cheap: nothing is built, and texts are not checked to be UTF-8.
pub fn is_well_formed(body: &[u8]) -> bool {
    let mut reader = head::Reader::new(body);
    reader.skip(DEPTH_MAX).is_ok() && reader.rest().is_empty()
}
