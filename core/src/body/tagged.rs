//! Tags, for the types that want them: `ciborium::Value` and the types of `ciborium::tag`.
//!
//! serde knows no tags. ciborium's types carry them through it as an enum of a name that nobody else has, with a variant of
//! tag and item, and one of the item alone. Both directions follow that, so that no tag is lost on the way.

use std::fmt;

use serde::{
    de::{self, DeserializeSeed, Expected, IntoDeserializer, Visitor, value::StrDeserializer},
    ser,
};

use super::{decode::Deserializer, error::DecodeError, head::Head};

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

/// An item with or without its tag, as ciborium's enum.
pub(super) struct Tagged<'a, 'de> {
    /// `None` once the item was read.
    item: Option<&'a mut Deserializer<'de>>,
    tag: Option<u64>,
}

impl<'a, 'de> Tagged<'a, 'de> {
    /// The item that comes next, whose tag was read.
    pub(super) fn new(deserializer: &'a mut Deserializer<'de>, tag: Option<u64>) -> Self {
        Tagged { item: Some(deserializer), tag }
    }

    /// The item that comes next, its tag included.
    pub(super) fn next(deserializer: &'a mut Deserializer<'de>) -> Result<Self, DecodeError> {
        let before = deserializer.reader;
        if let Head::Tag(tag) = deserializer.reader.head()? {
            return Ok(Tagged::new(deserializer, Some(tag)));
        }
        deserializer.reader = before;
        Ok(Tagged::new(deserializer, None))
    }
}

impl<'de> de::EnumAccess<'de> for Tagged<'_, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DecodeError> {
        let name = if self.tag.is_some() { TAGGED } else { UNTAGGED };
        let name: StrDeserializer<'_, DecodeError> = name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Tagged<'_, 'de> {
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
impl<'de> de::SeqAccess<'de> for Tagged<'_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DecodeError> {
        match (self.tag.take(), &mut self.item) {
            (Some(tag), _) => seed.deserialize(tag.into_deserializer()).map(Some),
            (None, item) => item.take().map(|item| seed.deserialize(item)).transpose(),
        }
    }
}

/// Takes the number out of the first field of [`TAGGED`].
pub(super) fn tag_number<T: ser::Serialize + ?Sized>(field: &T) -> Option<u64> {
    let mut head = Vec::with_capacity(9);
    field.serialize(&mut super::encode::Serializer::new(&mut head)).ok()?;
    match super::head::Reader::new(&head).head() {
        Ok(Head::Unsigned(tag)) => Some(tag),
        _ => None,
    }
}
