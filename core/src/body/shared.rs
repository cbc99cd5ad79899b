//! Byte strings and encoded items that keep the memory of the body that they were decoded from.
//!
//! serde passes only borrowed or owned bytes to a visitor. The deserializer therefore offers the memory beside it, for the thread.

use std::{cell::Cell, fmt};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The name by which the codec recognises the type: serde passes it through as the name of a newtype struct.
pub(super) const NAME: &str = "$callboard::SharedBytes";

thread_local! {
    /// The memory that is offered to the visitor that runs.
    static OFFERED: Cell<Bytes> = const { Cell::new(Bytes::new()) };
}

/// A byte string that shares the memory of the message it arrived in: for items of a stream that are passed on or only looked into.
///
/// On the wire it is a byte string, as `serde_bytes::ByteBuf`. Decoding an item of a stream copies nothing. Other decoding copies the
/// bytes. A value that is kept also keeps its message in memory, up to 64 KiB for a small item. Copy it to keep it for long.
///
/// ```
/// use bytes::Bytes;
/// use callboard_core::body::{self, SharedBytes};
///
/// let encoded = body::encode(&SharedBytes(Bytes::from_static(b"pixels")))?;
/// let pixels: SharedBytes = body::decode_shared(&encoded)?;
/// assert_eq!((&pixels.0[..], pixels.0.as_ptr()), (&b"pixels"[..], encoded[1..].as_ptr()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharedBytes(
    /// The bytes.
    pub Bytes,
);

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Bytes> for SharedBytes {
    fn from(bytes: Bytes) -> SharedBytes {
        SharedBytes(bytes)
    }
}

impl Serialize for SharedBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for SharedBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SharedBytes, D::Error> {
        deserializer.deserialize_newtype_struct(NAME, Visitor)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = SharedBytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<SharedBytes, E> {
        Ok(SharedBytes(take_or_copy(bytes)))
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<SharedBytes, E> {
        Ok(SharedBytes(bytes.into()))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<SharedBytes, D::Error> {
        deserializer.deserialize_byte_buf(Visitor)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<SharedBytes, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = items.next_element()? {
            bytes.push(byte);
        }
        Ok(SharedBytes(bytes.into()))
    }
}

/// Runs `visit`, in which [`take_or_copy`] of `bytes` returns their memory. They are part of `source`, if there is one.
pub(super) fn offer<R>(source: Option<&Bytes>, bytes: &[u8], visit: impl FnOnce() -> R) -> R {
    let Some(source) = source else { return visit() };
    let _ = OFFERED.try_with(|offered| offered.set(source.slice_ref(bytes)));
    let result = visit();
    let _ = OFFERED.try_with(Cell::take);
    result
}

/// Returns the memory of `bytes`, if it was offered, and else a copy.
pub(super) fn take_or_copy(bytes: &[u8]) -> Bytes {
    let offered = OFFERED.try_with(Cell::take).unwrap_or_default();
    if std::ptr::eq(&*offered, bytes) { offered } else { Bytes::copy_from_slice(bytes) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::body::{self, Encoded};

    fn is_part(part: &Bytes, of: &Bytes) -> bool {
        of.as_ptr_range().contains(&part.as_ptr())
    }

    #[test]
    fn shared_bytes_and_encoded_items_share_the_memory_of_their_body() {
        let bytes = SharedBytes(Bytes::from(vec![7; 100]));
        let body = body::encode(&("frame", &bytes, [1, 2])).unwrap();
        let (name, decoded, list): (String, SharedBytes, Encoded) = body::decode_shared(&body).unwrap();
        assert_eq!((name.as_str(), &decoded, &list.0[..]), ("frame", &bytes, &[0x82, 1, 2][..]));
        assert!(is_part(&decoded.0, &body) && is_part(&list.0, &body));
    }

    #[test]
    fn bytes_are_copied_if_the_body_is_borrowed_or_they_come_in_another_form() {
        let bytes = SharedBytes(Bytes::from_static(b"abc"));
        let body = body::encode(&bytes).unwrap();
        let copied: SharedBytes = body::decode(&body).unwrap();
        assert!(copied == bytes && !is_part(&copied.0, &body));
        for form in [&b"\x5f\x41a\x42bc\xff"[..], b"\x83\x18\x61\x18\x62\x18\x63", b"\xc1\x43abc"] {
            assert_eq!(body::decode_shared::<SharedBytes>(&Bytes::from_static(form)), Ok(bytes.clone()), "{form:02x?}");
        }
        assert!(body::decode_shared::<SharedBytes>(&Bytes::from_static(b"\x63abc")).is_err());
        assert_eq!(body::decode_shared::<SharedBytes>(&Bytes::from_static(b"\x40")), Ok(SharedBytes::default()));
    }

    #[test]
    fn other_formats_of_serde_have_the_same_type() {
        let bytes: SharedBytes = serde_json::from_str("[1, 2]").unwrap();
        assert_eq!((&bytes.0[..], serde_json::to_string(&bytes).unwrap()), (&[1, 2][..], "[1,2]".to_owned()));
    }
}
