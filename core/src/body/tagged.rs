//! CBOR tags, for types that use them: `ciborium::Value` and the types of `ciborium::tag`.
//!
//! serde has no tags. ciborium's types represent them in serde as an enum with a reserved name. One variant has a tag and its
//! item, the other an item alone. The codec follows that in both directions, so that no tag is lost.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, Visitor, value::StrDeserializer};

use super::error::DecodeError;

/// The name of the enum.
pub(super) const ENUM: &str = "@@TAG@@";
/// The name of the variant with a tag and its item.
pub(super) const TAGGED: &str = "@@TAGGED@@";
/// The name of the variant with an item alone.
pub(super) const UNTAGGED: &str = "@@UNTAGGED@@";

/// Returns whether a visitor that accepts any item also accepts a tag.
///
/// For other visitors (that of an untagged enum, or of `serde_json::Value`) a tag is an error, so they get the item behind it.
/// serde has no method for this, so ciborium's visitor is recognised by its description. A test fails if that changes.
pub(super) fn takes_tags(visitor: &dyn Expected) -> bool {
    struct Description<'a>(&'a dyn Expected);

    impl fmt::Display for Description<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt(f)
        }
    }

    Description(visitor).to_string() == "a valid CBOR item"
}

/// Access to an item with or without its tag, as ciborium's enum. `D` deserializes the item.
pub(super) struct TaggedAccess<D> {
    tag: Option<u64>,
    /// `None` after the item was read.
    item: Option<D>,
}

impl<D> TaggedAccess<D> {
    /// Creates the access to the next item, after its tag was read.
    pub(super) fn new(tag: Option<u64>, item: D) -> TaggedAccess<D> {
        TaggedAccess { tag, item: Some(item) }
    }
}

impl<'de, D: Deserializer<'de, Error = DecodeError>> de::EnumAccess<'de> for TaggedAccess<D> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DecodeError> {
        let name = if self.tag.is_some() { TAGGED } else { UNTAGGED };
        let name: StrDeserializer<'_, DecodeError> = name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de, D: Deserializer<'de, Error = DecodeError>> de::VariantAccess<'de> for TaggedAccess<D> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        Err(DecodeError::mismatch(&"a name alone", "an item"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DecodeError> {
        match self.item {
            Some(item) => seed.deserialize(item),
            None => Err(de::Error::custom("the item behind a tag was already read")),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_seq(self)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, DecodeError> {
        Err(DecodeError::mismatch(&visitor, "a tag"))
    }
}

/// Yields the tag, then the item.
impl<'de, D: Deserializer<'de, Error = DecodeError>> de::SeqAccess<'de> for TaggedAccess<D> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DecodeError> {
        match (self.tag.take(), &mut self.item) {
            (Some(tag), _) => seed.deserialize(tag.into_deserializer()).map(Some),
            (None, item) => item.take().map(|item| seed.deserialize(item)).transpose(),
        }
    }
}
