//! A value that is already encoded.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::shared;

/// The name by which the codec recognises the type: serde passes it through as the name of a newtype struct.
pub(super) const NAME: &str = "$callboard::Encoded";

/// One encoded CBOR item, passed through as it is: for programs that forward values, or convert them by themselves.
///
/// It can stand for any value: an argument, a result, an item of a stream. Decoding checks that the item is well-formed, and builds
/// nothing. It copies the bytes, except those of an item of a stream, as [`SharedBytes`](super::SharedBytes) describes. Only the body codec of this library encodes and decodes it; other serde formats return an error.
///
/// ```
/// use callboard_core::body::{self, Encoded};
///
/// let encoded = body::encode(&("price", 5))?;
/// let (name, price): (String, Encoded) = body::decode(&encoded)?;
/// assert_eq!((name.as_str(), &price.0[..]), ("price", &[5][..]));
/// assert_eq!(body::encode(&(name, price))?, encoded);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded(
    /// Exactly one well-formed item.
    pub Bytes,
);

impl Serialize for Encoded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(NAME, &RawBytes(&self.0))
    }
}

impl<'de> Deserialize<'de> for Encoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Encoded, D::Error> {
        deserializer.deserialize_newtype_struct(NAME, Visitor)
    }
}

/// The bytes of an item, which the serializer appends as they are.
struct RawBytes<'a>(&'a [u8]);

impl Serialize for RawBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Encoded;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an encoded item, in the body codec of Callboard")
    }

    fn visit_bytes<E: de::Error>(self, item: &[u8]) -> Result<Encoded, E> {
        Ok(Encoded(shared::take_or_copy(item)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::body;

    #[test]
    fn an_item_of_any_form_passes_through_unchanged() {
        for item in
            [&b"\x01"[..], b"\xf6", b"\x82\x01\x20", b"\xc0\x61a", b"\x9f\x01\xff", b"\xc2\x49\x01\0\0\0\0\0\0\0\0"]
        {
            let decoded: Encoded = body::decode(item).unwrap();
            assert_eq!((&decoded.0[..], &body::encode(&decoded).unwrap()[..]), (item, item));
        }
    }

    #[test]
    fn items_inside_of_others_end_where_they_end() {
        let list: Vec<Encoded> = body::decode(b"\x83\x01\xa1\x61a\x02\xf5").unwrap();
        assert_eq!(list.iter().map(|item| &item.0[..]).collect::<Vec<_>>(), [&b"\x01"[..], b"\xa1\x61a\x02", b"\xf5"]);
    }

    #[test]
    fn a_malformed_item_is_an_error() {
        for item in [&b""[..], b"\x82\x01", b"\x1c", b"\x01\x02"] {
            assert!(body::decode::<Encoded>(item).is_err(), "{item:?}");
        }
        let mut deep = vec![0x81; 70];
        deep.push(1);
        assert!(body::decode::<Encoded>(&deep).is_err());
    }
}
