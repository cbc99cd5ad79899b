//! From a body to a Rust value: a serde deserializer over bytes in memory.

use std::borrow::Cow;

use serde::de::{self, Expected, IntoDeserializer, Visitor, value::SeqDeserializer};

use super::{
    access::{Items, Variant},
    error::DecodeError,
    head::{Head, Malformed, Reader},
    integer::{Integer, TAG_BIGNUM, TAG_BIGNUM_NEGATIVE},
    tagged::{self, Tagged},
};

/// Reads one item after the other as whatever their types ask for.
pub(super) struct Deserializer<'de> {
    pub(super) reader: Reader<'de>,
    /// How many more levels may be entered: nesting costs stack, and bodies come from strangers.
    pub(super) depth: usize,
}

impl<'de> Deserializer<'de> {
    /// Starts at the front of `reader`, for items that nest at most `depth` deep.
    pub(super) fn new(reader: Reader<'de>, depth: usize) -> Deserializer<'de> {
        Deserializer { reader, depth }
    }

    /// Runs `read` one level deeper.
    #[inline]
    pub(super) fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.depth = self.depth.checked_sub(1).ok_or(Malformed::Deep)?;
        let value = read(self);
        self.depth += 1;
        value
    }

    /// Reads an item by its head, not minding tags: a type that asks for a number or a text has no use for what a tag adds. But each
    /// is a level, for the item behind it and all that is in it.
    #[inline]
    fn untagged<T>(&mut self, read: impl FnOnce(&mut Self, Head) -> Result<T, DecodeError>) -> Result<T, DecodeError> {
        let depth = self.depth;
        let head = match self.reader.head()? {
            Head::Tag(_) => self.behind_tags(),
            head => Ok(head),
        };
        let value = head.and_then(|head| read(self, head));
        self.depth = depth;
        value
    }

    #[cold]
    fn behind_tags(&mut self) -> Result<Head, DecodeError> {
        loop {
            self.depth = self.depth.checked_sub(1).ok_or(Malformed::Deep)?;
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

    /// A visitor may stop early (a tuple does, at its length); what it leaves is one item too many.
    #[inline]
    fn array<V: Visitor<'de>>(&mut self, length: Option<u64>, visitor: V) -> Result<V::Value, DecodeError> {
        self.nested(|this| {
            let mut items = Items::new(this, length)?;
            let value = visitor.visit_seq(&mut items)?;
            items.end().map(|()| value)
        })
    }

    #[inline]
    fn map<V: Visitor<'de>>(&mut self, length: Option<u64>, visitor: V) -> Result<V::Value, DecodeError> {
        self.nested(|this| {
            let mut items = Items::new(this, length)?;
            let value = visitor.visit_map(&mut items)?;
            items.end().map(|()| value)
        })
    }

    fn tag<V: Visitor<'de>>(&mut self, tag: u64, visitor: V) -> Result<V::Value, DecodeError> {
        let content = self.reader;
        if matches!(tag, TAG_BIGNUM | TAG_BIGNUM_NEGATIVE) {
            // Its digits are one level deeper, as whatever is behind a tag.
            if let Some(integer) = self.nested(|this| Ok(Integer::bignum(tag, &mut this.reader)?))? {
                return integer.visit(visitor);
            }
            self.reader = content;
        }
        self.nested(|this| match tagged::takes_tags(&visitor) {
            true => visitor.visit_enum(Tagged::new(this, Some(tag))),
            false => de::Deserializer::deserialize_any(this, visitor),
        })
    }
}

/// What is there instead of what the visitor takes.
#[cold]
pub(super) fn mismatch(head: Head, expected: &dyn Expected) -> DecodeError {
    match head {
        Head::Break => Malformed::Break.into(),
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
            // No type has a word for undefined and for the simple values; RFC 8949 section 6.1 takes them for null too.
            Head::Null | Head::Undefined | Head::Simple(_) => visitor.visit_unit(),
            Head::Float(value) => visitor.visit_f64(value),
            Head::Break => Err(Malformed::Break.into()),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.untagged(|_, head| match head {
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
        self.untagged(|this, head| match head {
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
        self.untagged(|this, head| match head {
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
        self.untagged(|_, head| match head {
            Head::Null | Head::Undefined => visitor.visit_unit(),
            head => Err(mismatch(head, &visitor)),
        })
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    /// A byte string is read as the sequence of its bytes too, so that `Vec<u8>` takes what any language sends as bytes.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.untagged(|this, head| match head {
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
        self.untagged(|this, head| match head {
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

    /// A text is a variant without a value, a map of one entry a variant with its value.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if name == tagged::ENUM {
            return self.nested(|this| visitor.visit_enum(Tagged::next(this)?));
        }
        self.untagged(|this, head| match head {
            Head::Text(length) => visitor.visit_enum(this.reader.text(length)?.into_deserializer()),
            Head::Map(length @ (Some(1) | None)) => this.nested(|this| {
                let value = visitor.visit_enum(Variant::new(this))?;
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
        self.untagged(|this, head| match head {
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
