//! Tags, for the types that want them: `ciborium::Value` and the types of `ciborium::tag`.
//!
//! serde knows no tags. ciborium's types carry them through it as an enum of a name that nobody else has, with a variant of
//! tag and item, and one of the item alone. Both directions follow that, so that no tag is lost on the way.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, Visitor, value::StrDeserializer};

use super::error::DecodeError;

/// The enum's name.
pub(super) const ENUM: &str = "@@TAG@@";
/// The variant of a tag and its item.
pub(super) const TAGGED: &str = "@@TAGGED@@";
/// The variant of an item without a tag.
pub(super) const UNTAGGED: &str = "@@UNTAGGED@@";

/// Whether a visitor that takes any item also takes a tag.
///
/// To any other visitor (an untagged enum's, `serde_json::Value`'s) a tag is an error, so they get the item behind it.
/// serde has no way to ask, so ciborium's visitor is known by its words; a test notices if they change.
pub(super) fn takes_tags(visitor: &dyn Expected) -> bool {
    struct Words<'a>(&'a dyn Expected);

    impl fmt::Display for Words<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt(f)
        }
    }

    Words(visitor).to_string() == "a valid CBOR item"
}

/// The deserializer of an item with or without its tag, as ciborium's enum. `D` reads the item.
pub(super) struct Tagged<D> {
    tag: Option<u64>,
    /// `None` once the item was read.
    item: Option<D>,
}

impl<D> Tagged<D> {
    /// Creates it for an item whose tag, if it has one, was read.
    pub(super) fn new(tag: Option<u64>, item: D) -> Tagged<D> {
        Tagged { tag, item: Some(item) }
    }
}

impl<'de, D: Deserializer<'de, Error = DecodeError>> de::EnumAccess<'de> for Tagged<D> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DecodeError> {
        let name = if self.tag.is_some() { TAGGED } else { UNTAGGED };
        let name: StrDeserializer<'_, DecodeError> = name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de, D: Deserializer<'de, Error = DecodeError>> de::VariantAccess<'de> for Tagged<D> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        Err(DecodeError::mismatch(&"a name alone", "an item"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DecodeError> {
        match self.item {
            Some(item) => seed.deserialize(item),
            None => Err(de::Error::custom("the item behind a tag was read already")),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_seq(self)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, DecodeError> {
        Err(DecodeError::mismatch(&visitor, "a tag"))
    }
}

/// First the tag, then the item.
impl<'de, D: Deserializer<'de, Error = DecodeError>> de::SeqAccess<'de> for Tagged<D> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DecodeError> {
        match (self.tag.take(), &mut self.item) {
            (Some(tag), _) => seed.deserialize(tag.into_deserializer()).map(Some),
            (None, item) => item.take().map(|item| seed.deserialize(item)).transpose(),
        }
    }
}
