//! The body codec: Rust values as CBOR and back, and the arguments of calls.
//!
//! Any type with serde implementations can be a body. The conventions are ciborium's, which other languages read easily: a
//! struct is a map with text keys, an enum is its variant's name or a map from the name to the value, `None` and `()` are
//! null, and `serde_bytes` are byte strings. [`encode`] writes the shortest form. [`decode`] reads any well-formed one, with
//! indefinite lengths, half floats, bignums and tags. It also reads an integer as a float, if no digit is lost. A body may
//! come from an unauthenticated peer: an announced length allocates nothing before its bytes arrive, and the depth is bounded.
//!
//! Programs whose values have no serde implementations, such as objects of another language, write a body with [`build`] and
//! [`Head::write`], and read one with [`Reader`].
//!
//! The codec is our own. ciborium takes three times as long and stops at 4 KiB of borrowed text; minicbor-serde writes `char`
//! as an integer, does not support tags, and converts no number types.
//!
//! | file | content |
//! |---|---|
//! | `reader`, `writer` | heads and strings of CBOR items |
//! | `integer`, `tagged` | integers of any width; tags |
//! | `decode`, `encode` | the serde deserializer and serializer |
//! | `encoded`, `shared` | items that are passed through; bytes without a copy |
//! | `arguments` | the arguments of calls |

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
mod shared;
mod tagged;
#[cfg(test)]
mod tests;
mod writer;

pub use arguments::{ArgumentError, ArgumentMap, ArgumentProblem, ArgumentReader, Arguments, EncodedArguments, named};
pub use encoded::Encoded;
pub use error::{DecodeError, DecodeErrorKind, EncodeError};
pub use reader::{Head, Malformed, Reader};
pub use shared::SharedBytes;

use crate::wire::limits::DEPTH_MAX;

/// The largest body that is copied from the scratch buffer to a buffer of its own size. That is one allocation. To hand over the
/// scratch buffer with its spare capacity would be two, and the copy costs less than one.
const BODY_COPIED_BYTES_MAX: usize = 4096;

/// The expected size of a body: most are no larger.
const BODY_BYTES_EXPECTED: usize = 128;

thread_local! {
    /// The buffer into which the next body is written.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Encodes a value as a body.
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
/// If the value nests deeper than [`DEPTH_MAX`], or its `Serialize` implementation fails.
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
    let body = written.map(|()| InlineBody::new(&out).map_or_else(|| Bytes::copy_from_slice(&out), Bytes::from_owner));
    out.clear();
    let _ = SCRATCH.try_with(|scratch| scratch.set(out));
    body
}

/// A small body that shares one allocation with its reference count. For other bodies, the second reference allocates the count:
/// a client always keeps one to what it sends.
struct InlineBody {
    len: u8,
    bytes: [u8; BODY_BYTES_EXPECTED],
}

impl InlineBody {
    fn new(body: &[u8]) -> Option<InlineBody> {
        let mut bytes = [0; BODY_BYTES_EXPECTED];
        bytes.get_mut(..body.len())?.copy_from_slice(body);
        Some(InlineBody { len: body.len() as u8, bytes })
    }
}

impl AsRef<[u8]> for InlineBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Decodes a body. Texts and byte strings of definite length can be borrowed from it.
///
/// # Errors
///
/// If the body is not exactly one CBOR item, or the type does not accept the item. The error has the position and what was
/// expected.
pub fn decode<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, DecodeError> {
    decode_from(body, None)
}

/// As [`decode`], but [`SharedBytes`] and [`Encoded`] keep the memory of the body instead of a copy.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_shared<'de, T: Deserialize<'de>>(body: &'de Bytes) -> Result<T, DecodeError> {
    decode_from(body, Some(body))
}

fn decode_from<'de, T: Deserialize<'de>>(body: &'de [u8], source: Option<&'de Bytes>) -> Result<T, DecodeError> {
    let mut deserializer =
        decode::Deserializer { source, ..decode::Deserializer::new(reader::Reader::new(body), DEPTH_MAX) };
    let value = T::deserialize(&mut deserializer);
    let rest = deserializer.reader.rest();
    match value {
        Ok(value) if rest.is_empty() => Ok(value),
        Ok(_) => Err(DecodeError::from(reader::Malformed::TrailingBytes).at(body.len() - rest.len())),
        Err(error) => Err(error.at(body.len() - rest.len())),
    }
}

/// Returns whether `body` is exactly one CBOR item that nests at most [`DEPTH_MAX`] levels deep.
///
/// This is cheap: it allocates nothing, and does not check that texts are UTF-8.
pub fn is_well_formed(body: &[u8]) -> bool {
    let mut reader = reader::Reader::new(body);
    reader.skip(DEPTH_MAX).is_ok() && reader.rest().is_empty()
}
