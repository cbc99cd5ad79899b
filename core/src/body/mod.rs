//! Bodies: Rust values as CBOR and back, and the arguments of calls.
//!
//! Any type that serde knows can travel. The conventions are ciborium's, which other languages read without effort: a
//! struct is a map with text keys, an enum its variant's name or a map from the name to the value, `None` and `()` are
//! null, and `serde_bytes` are byte strings. [`encode`] writes the shortest form; [`decode`] reads any
//! well-formed one: indefinite lengths, half floats, bignums and tags included, and an integer where a float is wanted, if no digit
//! is lost. A body may come from a stranger: what it announces costs nothing until it is there, and how deep it nests is
//! bounded.
//!
//! Programs whose values serde does not know, such as objects of another language, write a body with [`build`] and [`Head::write`],
//! and read one with [`Reader`].
//!
//! Both directions are our own, on purpose. ciborium takes three times as long and stops at 4 KiB of borrowed text;
//! minicbor-serde writes `char` as an integer, knows no tags, and widens nothing.

use std::cell::Cell;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub mod arguments;
mod decode;
mod encode;
mod encoded;
mod error;
mod integer;
mod reader;
mod tagged;
#[cfg(test)]
mod tests;
mod writer;

pub use arguments::{ArgumentError, ArgumentMap, ArgumentProblem, ArgumentReader, Arguments, EncodedArguments, named};
pub use encoded::Encoded;
pub use error::{DecodeError, DecodeErrorKind, EncodeError};
pub use reader::{Head, Malformed, Reader};

use crate::wire::limits::DEPTH_MAX;

/// A body of at most so many bytes is copied from where it was written to a place of its own size. That is one allocation; to
/// hand over a place with room to spare would be two, and the copy costs less than one.
const BODY_COPIED_BYTES_MAX: usize = 4096;

/// Most bodies are no larger.
const BODY_BYTES_EXPECTED: usize = 128;

thread_local! {
    /// Where the next body is written.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

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
    build(|out| value.serialize(&mut encode::Serializer::new(out)))
}

/// Returns the body that `write` appends to the buffer. The buffer is empty at the start, and is reused by later bodies of the thread.
///
/// `write` must append exactly one well-formed item: it is not checked.
///
/// ```
/// use callboard_core::body::{self, Head};
///
/// let body = body::build(|out| {
///     Head::Array(Some(2)).write(out);
///     Head::Unsigned(2).write(out);
///     Head::Text(Some(5)).write(out);
///     out.extend_from_slice(b"three");
///     Ok::<(), std::convert::Infallible>(())
/// })?;
/// assert_eq!(body, body::encode(&(2, "three")).unwrap());
/// # Ok::<(), std::convert::Infallible>(())
/// ```
///
/// # Errors
///
/// The error of `write`.
#[inline]
pub fn build<E>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Bytes, E> {
    // A body that is built within `write`, or while the thread ends, gets a new buffer.
    let mut out = SCRATCH.try_with(Cell::take).unwrap_or_default();
    out.reserve(BODY_BYTES_EXPECTED);
    let written = write(&mut out);
    if out.len() > BODY_COPIED_BYTES_MAX {
        return written.map(|()| out.into());
    }
    let body = written.map(|()| Small::new(&out).map_or_else(|| Bytes::copy_from_slice(&out), Bytes::from_owner));
    out.clear();
    let _ = SCRATCH.try_with(|scratch| scratch.set(out));
    body
}

/// A small body in one place with the count of those who hold it, which elsewhere is an allocation of its own with the second holder:
/// a client keeps what it sends.
struct Small {
    len: u8,
    bytes: [u8; BODY_BYTES_EXPECTED],
}

impl Small {
    fn new(body: &[u8]) -> Option<Small> {
        let mut bytes = [0; BODY_BYTES_EXPECTED];
        bytes.get_mut(..body.len())?.copy_from_slice(body);
        Some(Small { len: body.len() as u8, bytes })
    }
}

impl AsRef<[u8]> for Small {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The value that a body says. Texts and byte strings in one piece may be borrowed from it.
///
/// # Errors
///
/// If the body is not exactly one CBOR item, or not one that the type takes. The error says where and what was expected.
pub fn decode<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, DecodeError> {
    let mut deserializer = decode::Deserializer::new(reader::Reader::new(body), DEPTH_MAX);
    let value = T::deserialize(&mut deserializer);
    let rest = deserializer.reader.rest();
    match value {
        Ok(value) if rest.is_empty() => Ok(value),
        Ok(_) => Err(DecodeError::from(reader::Malformed::Trailing).at(body.len() - rest.len())),
        Err(error) => Err(error.at(body.len() - rest.len())),
    }
}

/// Whether `body` is exactly one CBOR item that nests at most [`DEPTH_MAX`] deep.
///
/// Cheap: nothing is built, and texts are not checked to be UTF-8.
pub fn is_well_formed(body: &[u8]) -> bool {
    let mut reader = reader::Reader::new(body);
    reader.skip(DEPTH_MAX).is_ok() && reader.rest().is_empty()
}
