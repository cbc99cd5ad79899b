//! The deserializer: reads Rust values from a body in memory.

use std::borrow::Cow;

use bytes::Bytes;
use serde::de::{
    self, DeserializeSeed, Deserializer as _, Expected, IntoDeserializer, Visitor, value::SeqDeserializer,
};

use super::{
    encoded,
    error::DecodeError,
    integer::{Integer, TAG_BIGNUM, TAG_BIGNUM_NEGATIVE},
    reader::{Head, Malformed, Reader},
    shared,
    tagged::{self, TaggedAccess},
};

/// A serde deserializer. It reads one item after the other, as the types that they are decoded to.
pub(super) struct Deserializer<'de> {
    pub(super) reader: Reader<'de>,
    /// How many more levels may be entered. Nesting uses stack, and a body may come from an unauthenticated peer.
    pub(super) depth: usize,
    /// The memory of the body, if values may keep it.
    pub(super) source: Option<&'de Bytes>,
}

impl<'de> Deserializer<'de> {
    /// Creates a deserializer at the position of `reader`, for items that nest at most `depth` levels deep.
    pub(super) fn new(reader: Reader<'de>, depth: usize) -> Deserializer<'de> {
        Deserializer { reader, depth, source: None }
    }

    /// Runs `read` one level deeper.
    #[inline]
    pub(super) fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.depth = self.depth.checked_sub(1).ok_or(Malformed::TooDeep)?;
        let value = read(self);
        self.depth += 1;
        value
    }

    /// Reads an item by its head, without its tags: a type that expects a number or a text has no use for them. But each tag is a
    /// level, for the item behind it and everything inside that.
    #[inline]
    fn skipping_tags<T>(
        &mut self,
        read: impl FnOnce(&mut Self, Head) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let depth = self.depth;
        let head = match self.reader.head()? {
            Head::Tag(_) => self.skip_tags(),
            head => Ok(head),
        };
        let value = head.and_then(|head| read(self, head));
        self.depth = depth;
        value
    }

    #[cold]
    fn skip_tags(&mut self) -> Result<Head, DecodeError> {
        loop {
            self.depth = self.depth.checked_sub(1).ok_or(Malformed::TooDeep)?;
            match self.reader.head()? {
                Head::Tag(_) => {}
                head => return Ok(head),
            }
        }
    }

    #[inline]
    fn text<V: Visitor<'de>>(&mut self, length: Option<u64>, visitor: V) -> Result<V::Value, DecodeError> {
        match self.reader.text(length)? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    #[inline]
    fn bytes<V: Visitor<'de>>(&mut self, length: Option<u64>, visitor: V) -> Result<V::Value, DecodeError> {
        match self.reader.bytes(length)? {
            Cow::Borrowed(bytes) => visitor.visit_borrowed_bytes(bytes),
            Cow::Owned(bytes) => visitor.visit_byte_buf(bytes),
        }
    }

    /// Reads a byte string that the visitor may keep in the memory of the body.
    fn shared_bytes<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, DecodeError> {
        self.skipping_tags(|this, head| match head {
            Head::Bytes(Some(length)) => match this.reader.bytes(Some(length))? {
                Cow::Borrowed(bytes) => shared::offer(this.source, bytes, || visitor.visit_bytes(bytes)),
                Cow::Owned(bytes) => visitor.visit_byte_buf(bytes),
            },
            Head::Bytes(None) => this.bytes(None, visitor),
            Head::Array(length) => this.array(length, visitor),
            head => Err(mismatch(head, &visitor)),
        })
    }

    /// Reads an array. A visitor may stop early (a tuple does, at its length): items that remain are an error.
    #[inline]
    fn array<V: Visitor<'de>>(&mut self, length: Option<u64>, visitor: V) -> Result<V::Value, DecodeError> {
        self.nested(|this| {
            let mut items = CompoundAccess::new(this, length)?;
            let value = visitor.visit_seq(&mut items)?;
            items.end().map(|()| value)
        })
    }

    #[inline]
    fn map<V: Visitor<'de>>(&mut self, length: Option<u64>, visitor: V) -> Result<V::Value, DecodeError> {
        self.nested(|this| {
            let mut items = CompoundAccess::new(this, length)?;
            let value = visitor.visit_map(&mut items)?;
            items.end().map(|()| value)
        })
    }

    fn tag<V: Visitor<'de>>(&mut self, tag: u64, visitor: V) -> Result<V::Value, DecodeError> {
        let content = self.reader;
        if matches!(tag, TAG_BIGNUM | TAG_BIGNUM_NEGATIVE) {
            // The digits are one level deeper, like any item behind a tag.
            if let Some(integer) = self.nested(|this| Ok(Integer::bignum(tag, &mut this.reader)?))? {
                return integer.visit(visitor);
            }
            self.reader = content;
        }
        self.nested(|this| match tagged::takes_tags(&visitor) {
            true => visitor.visit_enum(TaggedAccess::new(Some(tag), this)),
            false => de::Deserializer::deserialize_any(this, visitor),
        })
    }

    /// Reads the tag of the next item, if it has one, and returns the access to both.
    fn tagged(&mut self) -> Result<TaggedAccess<&mut Self>, DecodeError> {
        let before = self.reader;
        if let Head::Tag(tag) = self.reader.head()? {
            return Ok(TaggedAccess::new(Some(tag), self));
        }
        self.reader = before;
        Ok(TaggedAccess::new(None, self))
    }

    /// Reads an integer. The visitor checks its range.
    pub(super) fn integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.reader.head()? {
            Head::Unsigned(value) => visitor.visit_u64(value),
            Head::Negative(magnitude) => Integer::negative(magnitude).visit(visitor),
            head => match self.tagged_integer(head, &visitor)? {
                Ok(integer) => integer.visit(visitor),
                Err(head) => Err(mismatch(head, &visitor)),
            },
        }
    }

    /// Reads a float, or an integer that equals one exactly (an f32 if `single`).
    pub(super) fn float<V: Visitor<'de>>(&mut self, single: bool, visitor: V) -> Result<V::Value, DecodeError> {
        let integer = match self.reader.head()? {
            Head::Float(value) => return visitor.visit_f64(value),
            Head::Unsigned(value) => Integer::unsigned(value),
            Head::Negative(magnitude) => Integer::negative(magnitude),
            head => match self.tagged_integer(head, &visitor)? {
                Ok(integer) => integer,
                Err(Head::Float(value)) => return visitor.visit_f64(value),
                Err(head) => return Err(mismatch(head, &visitor)),
            },
        };
        match integer.to_float(single) {
            Some(value) => visitor.visit_f64(value),
            None => Err(DecodeError::mismatch(&visitor, "an integer that is not exact as this type")),
        }
    }

    /// Reads the integer whose first head is `head`, which may be a tag. Returns the head behind the tags if it is not an
    /// integer.
    #[cold]
    fn tagged_integer(
        &mut self,
        mut head: Head,
        expected: &dyn Expected,
    ) -> Result<Result<Integer, Head>, DecodeError> {
        let mut depth = self.depth;
        while let Head::Tag(tag) = head {
            depth = depth.checked_sub(1).ok_or(Malformed::TooDeep)?;
            if matches!(tag, TAG_BIGNUM | TAG_BIGNUM_NEGATIVE) {
                let integer = Integer::bignum(tag, &mut self.reader)?;
                return integer
                    .map(Ok)
                    .ok_or_else(|| DecodeError::mismatch(expected, "an integer that is too large for any type"));
            }
            head = self.reader.head()?;
        }
        Ok(match head {
            Head::Unsigned(value) => Ok(Integer::unsigned(value)),
            Head::Negative(value) => Ok(Integer::negative(value)),
            other => Err(other),
        })
    }
}

/// Creates the error for an item that the visitor does not accept.
#[cold]
pub(super) fn mismatch(head: Head, expected: &dyn Expected) -> DecodeError {
    match head {
        Head::Break => Malformed::UnexpectedBreak.into(),
        head => DecodeError::mismatch(expected, head.description()),
    }
}

impl<'de> de::Deserializer<'de> for &mut Deserializer<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.reader.head()? {
            Head::Unsigned(value) => visitor.visit_u64(value),
            Head::Negative(magnitude) => Integer::negative(magnitude).visit(visitor),
            Head::Bytes(length) => self.bytes(length, visitor),
            Head::Text(length) => self.text(length, visitor),
            Head::Array(length) => self.array(length, visitor),
            Head::Map(length) => self.map(length, visitor),
            Head::Tag(tag) => self.tag(tag, visitor),
            Head::Bool(value) => visitor.visit_bool(value),
            // Rust has no type for undefined and the simple values. RFC 8949 section 6.1 converts them to null, too.
            Head::Null | Head::Undefined | Head::Simple(_) => visitor.visit_unit(),
            Head::Float(value) => visitor.visit_f64(value),
            Head::Break => Err(Malformed::UnexpectedBreak.into()),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.skipping_tags(|_, head| match head {
            Head::Bool(value) => visitor.visit_bool(value),
            head => Err(mismatch(head, &visitor)),
        })
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.integer(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.integer(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.integer(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.integer(visitor)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.integer(visitor)
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.integer(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.integer(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.integer(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.integer(visitor)
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.integer(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.float(true, visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.float(false, visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.skipping_tags(|this, head| match head {
            Head::Text(length) => this.text(length, visitor),
            head => Err(mismatch(head, &visitor)),
        })
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.skipping_tags(|this, head| match head {
            Head::Bytes(length) => this.bytes(length, visitor),
            Head::Array(length) => this.array(length, visitor),
            head => Err(mismatch(head, &visitor)),
        })
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let before = self.reader;
        match self.reader.head()? {
            Head::Null | Head::Undefined => visitor.visit_none(),
            _ => {
                self.reader = before;
                visitor.visit_some(self)
            }
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.skipping_tags(|_, head| match head {
            Head::Null | Head::Undefined => visitor.visit_unit(),
            head => Err(mismatch(head, &visitor)),
        })
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match name {
            encoded::NAME => {
                let item = self.reader.item(self.depth)?;
                shared::offer(self.source, item, || visitor.visit_bytes(item))
            }
            shared::NAME => self.shared_bytes(visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    /// Reads an array, or a byte string as the sequence of its bytes: a `Vec<u8>` accepts what any language sends as bytes.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.skipping_tags(|this, head| match head {
            Head::Array(length) => this.array(length, visitor),
            Head::Bytes(length) => {
                let bytes = this.reader.bytes(length)?;
                let mut items = SeqDeserializer::new(bytes.iter().copied());
                let value = visitor.visit_seq(&mut items)?;
                items.end().map(|()| value)
            }
            head => Err(mismatch(head, &visitor)),
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.skipping_tags(|this, head| match head {
            Head::Map(length) => this.map(length, visitor),
            head => Err(mismatch(head, &visitor)),
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_map(visitor)
    }

    /// Reads a text as a variant without a value, or a map with one entry as a variant with its value.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if name == tagged::ENUM {
            return self.nested(|this| visitor.visit_enum(this.tagged()?));
        }
        self.skipping_tags(|this, head| match head {
            Head::Text(length) => visitor.visit_enum(this.reader.text(length)?.into_deserializer()),
            Head::Map(length @ (Some(1) | None)) => this.nested(|this| {
                let value = visitor.visit_enum(VariantAccess::new(this))?;
                match length.is_some() || this.reader.at_break()? {
                    true => Ok(value),
                    false => Err(DecodeError::mismatch(&"a map with one entry", "a map with more")),
                }
            }),
            Head::Map(_) => Err(DecodeError::mismatch(&"a map with one entry", "a map with none or more")),
            head => Err(mismatch(head, &visitor)),
        })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.skipping_tags(|this, head| match head {
            Head::Text(length) => this.text(length, visitor),
            Head::Bytes(length) => this.bytes(length, visitor),
            head => Err(mismatch(head, &visitor)),
        })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.reader.skip(self.depth)?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The most announced items for which memory is reserved before the first is read. More is reserved as items are read.
const RESERVED_ITEMS_MAX: u64 = 4096;

/// Access to the remaining items of an array or a map.
struct CompoundAccess<'a, 'de> {
    deserializer: &'a mut Deserializer<'de>,
    /// How many items (in a map: pairs) remain; `None`: as many as there are before the break.
    left: Option<u64>,
    /// How many items were read.
    read: u64,
    /// Where the current key of a map begins.
    key_start: Reader<'de>,
}

impl<'a, 'de> CompoundAccess<'a, 'de> {
    /// Creates the access to the items behind a head that announces `length` of them.
    ///
    /// # Errors
    ///
    /// If the head announces more items than there are bytes: otherwise this would be detected only at the end.
    #[inline]
    fn new(deserializer: &'a mut Deserializer<'de>, length: Option<u64>) -> Result<Self, DecodeError> {
        let reader = deserializer.reader;
        match length {
            Some(length) if length > reader.rest().len() as u64 => Err(Malformed::Truncated.into()),
            left => Ok(CompoundAccess { deserializer, left, read: 0, key_start: reader }),
        }
    }

    /// Checks that no item remains.
    ///
    /// # Errors
    ///
    /// If the type did not read all items: it is not the type of this array or map.
    #[inline]
    fn end(mut self) -> Result<(), DecodeError> {
        let expected = self.read;
        match self.advance()? {
            false => Ok(()),
            true => Err(too_many(expected, self.left)),
        }
    }

    /// Moves to the next item. Returns whether there is one.
    #[inline]
    fn advance(&mut self) -> Result<bool, DecodeError> {
        match &mut self.left {
            Some(0) => return Ok(false),
            Some(left) => *left -= 1,
            None if self.deserializer.reader.at_break()? => {
                self.left = Some(0);
                return Ok(false);
            }
            None => {}
        }
        self.read += 1;
        Ok(true)
    }

    fn hint(&self) -> Option<usize> {
        self.left.map(|left| left.min(RESERVED_ITEMS_MAX) as usize)
    }
}

impl<'de> de::SeqAccess<'de> for CompoundAccess<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DecodeError> {
        if !self.advance()? {
            return Ok(None);
        }
        let value = seed.deserialize(&mut *self.deserializer);
        value.map(Some).map_err(|error| error.inside_item(self.read - 1))
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

impl<'de> de::MapAccess<'de> for CompoundAccess<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        if !self.advance()? {
            return Ok(None);
        }
        self.key_start = self.deserializer.reader;
        seed.deserialize(&mut *self.deserializer).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        seed.deserialize(&mut *self.deserializer).map_err(|error| inside_key(error, self.key_start))
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

#[cold]
fn too_many(expected: u64, left: Option<u64>) -> DecodeError {
    let got = left.map_or("more".to_owned(), |left| format!("{} items", expected + 1 + left));
    DecodeError::mismatch(&format!("{expected} items").as_str(), &got)
}

/// Adds the key that begins at `key` to the error's path. It is read again here, because only errors need it.
#[cold]
fn inside_key(error: DecodeError, mut key: Reader<'_>) -> DecodeError {
    match key.head() {
        Ok(Head::Text(length)) => match key.text(length) {
            Ok(text) => error.inside_key(&text),
            Err(_) => error,
        },
        Ok(Head::Unsigned(number)) => error.inside_item(number),
        _ => error.inside_key("(a value)"),
    }
}

/// Access to the one entry of a map that represents a variant with its value.
struct VariantAccess<'a, 'de> {
    deserializer: &'a mut Deserializer<'de>,
    key: Reader<'de>,
}

impl<'a, 'de> VariantAccess<'a, 'de> {
    /// Creates the access to the next entry.
    fn new(deserializer: &'a mut Deserializer<'de>) -> Self {
        let key = deserializer.reader;
        VariantAccess { deserializer, key }
    }
}

impl<'de> de::EnumAccess<'de> for VariantAccess<'_, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DecodeError> {
        Ok((seed.deserialize(&mut *self.deserializer)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for VariantAccess<'_, 'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        de::Deserialize::deserialize(self.deserializer).map_err(|error| inside_key(error, self.key))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DecodeError> {
        seed.deserialize(self.deserializer).map_err(|error| inside_key(error, self.key))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserializer.deserialize_seq(visitor).map_err(|error| inside_key(error, self.key))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, DecodeError> {
        self.deserializer.deserialize_map(visitor).map_err(|error| inside_key(error, self.key))
    }
}
