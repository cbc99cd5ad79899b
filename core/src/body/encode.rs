//! The serializer: writes Rust values into the buffer of a body.
//!
//! It writes the same bytes as ciborium (a property test compares them) in a third of the time: structs as maps with text keys,
//! enums as the variant's name or a map from it, `None` and `()` as null, numbers in their shortest form.

use serde::{Serialize, ser};

use super::{
    encoded,
    error::EncodeError,
    integer::{TAG_BIGNUM, TAG_BIGNUM_NEGATIVE},
    reader::{Head, Reader},
    tagged,
    writer::{
        ARRAY, BREAK, BYTES, FALSE, INDEFINITE, MAP, NEGATIVE, NULL, TAG, TEXT, TRUE, UNSIGNED, write_float,
        write_head, write_string,
    },
};
use crate::wire::limits::DEPTH_MAX;

/// A serde serializer. It writes one item after the other at the end of a buffer.
pub(super) struct Serializer<'o> {
    pub(super) out: &'o mut Vec<u8>,
    /// How many more levels may be opened. Receivers reject deeper ones.
    depth: usize,
}

impl<'o> Serializer<'o> {
    /// Creates a serializer that writes at the end of `out`.
    pub(super) fn new(out: &'o mut Vec<u8>) -> Serializer<'o> {
        Serializer { out, depth: DEPTH_MAX }
    }

    /// Creates a serializer for items that are inside an array or a map.
    pub(super) fn in_container(out: &'o mut Vec<u8>) -> Serializer<'o> {
        Serializer { out, depth: DEPTH_MAX - 1 }
    }

    /// Opens one level.
    fn open(&mut self) -> Result<(), EncodeError> {
        self.depth = self.depth.checked_sub(1).ok_or(EncodeError::TooDeep)?;
        Ok(())
    }

    /// Closes this many levels.
    fn close(&mut self, levels: usize) {
        self.depth += levels;
    }

    fn bignum(&mut self, tag: u64, magnitude: u128) {
        let digits = magnitude.to_be_bytes();
        let digits = &digits[magnitude.leading_zeros() as usize / 8..];
        write_head(self.out, TAG, tag);
        write_string(self.out, BYTES, digits);
    }

    fn items(&mut self, major: u8, length: Option<usize>) -> Result<Compound<'_, 'o>, EncodeError> {
        self.open()?;
        match length {
            Some(length) => write_head(self.out, major, length as u64),
            None => self.out.push(major | INDEFINITE),
        }
        Ok(Compound::new(self, length.is_none(), 1))
    }

    fn variant(&mut self, name: &str, major: u8, length: usize) -> Result<Compound<'_, 'o>, EncodeError> {
        self.open()?;
        write_head(self.out, MAP, 1);
        write_string(self.out, TEXT, name.as_bytes());
        self.open()?;
        write_head(self.out, major, length as u64);
        Ok(Compound::new(self, false, 2))
    }
}

impl<'a, 'o> ser::Serializer for &'a mut Serializer<'o> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Compound<'a, 'o>;
    type SerializeTuple = Compound<'a, 'o>;
    type SerializeTupleStruct = Compound<'a, 'o>;
    type SerializeTupleVariant = Compound<'a, 'o>;
    type SerializeMap = Compound<'a, 'o>;
    type SerializeStruct = Compound<'a, 'o>;
    type SerializeStructVariant = Compound<'a, 'o>;

    fn serialize_bool(self, value: bool) -> Result<(), EncodeError> {
        self.out.push(if value { TRUE } else { FALSE });
        Ok(())
    }

    fn serialize_u64(self, value: u64) -> Result<(), EncodeError> {
        write_head(self.out, UNSIGNED, value);
        Ok(())
    }

    fn serialize_u8(self, value: u8) -> Result<(), EncodeError> {
        self.serialize_u64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), EncodeError> {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), EncodeError> {
        self.serialize_u64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<(), EncodeError> {
        match u64::try_from(value) {
            Ok(value) => write_head(self.out, UNSIGNED, value),
            // In two's complement, -1 - n is n with every bit inverted.
            Err(_) => write_head(self.out, NEGATIVE, !value as u64),
        }
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), EncodeError> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), EncodeError> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), EncodeError> {
        self.serialize_i64(value.into())
    }

    fn serialize_u128(self, value: u128) -> Result<(), EncodeError> {
        match u64::try_from(value) {
            Ok(value) => write_head(self.out, UNSIGNED, value),
            Err(_) => self.bignum(TAG_BIGNUM, value),
        }
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Result<(), EncodeError> {
        let Err(_) = u128::try_from(value) else { return self.serialize_u128(value as u128) };
        let magnitude = !value as u128;
        match u64::try_from(magnitude) {
            Ok(magnitude) => write_head(self.out, NEGATIVE, magnitude),
            Err(_) => self.bignum(TAG_BIGNUM_NEGATIVE, magnitude),
        }
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), EncodeError> {
        self.serialize_f64(value.into())
    }

    /// Writes the shortest float with the same bits.
    fn serialize_f64(self, value: f64) -> Result<(), EncodeError> {
        write_float(self.out, value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), EncodeError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), EncodeError> {
        write_string(self.out, TEXT, value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), EncodeError> {
        write_string(self.out, BYTES, value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), EncodeError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), EncodeError> {
        self.out.push(NULL);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), EncodeError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), EncodeError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<(), EncodeError> {
        if name != encoded::NAME {
            return value.serialize(self);
        }
        // The item is serialized as a byte string, and is its content.
        let start = self.out.len();
        value.serialize(&mut *self)?;
        let mut item = Reader::new(&self.out[start..]);
        let _head = item.head();
        let content = self.out.len() - item.rest().len();
        self.out.drain(start..content);
        Ok(())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        if (name, variant) == (tagged::ENUM, tagged::UNTAGGED) {
            return value.serialize(self);
        }
        self.open()?;
        write_head(self.out, MAP, 1);
        write_string(self.out, TEXT, variant.as_bytes());
        value.serialize(&mut *self)?;
        self.close(1);
        Ok(())
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Compound<'a, 'o>, EncodeError> {
        self.items(ARRAY, length)
    }

    fn serialize_tuple(self, length: usize) -> Result<Compound<'a, 'o>, EncodeError> {
        self.items(ARRAY, Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Compound<'a, 'o>, EncodeError> {
        self.items(ARRAY, Some(length))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Compound<'a, 'o>, EncodeError> {
        if (name, variant) == (tagged::ENUM, tagged::TAGGED) {
            self.open()?;
            return Ok(Compound::tagged(self));
        }
        self.variant(variant, ARRAY, length)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Compound<'a, 'o>, EncodeError> {
        self.items(MAP, length)
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Compound<'a, 'o>, EncodeError> {
        self.items(MAP, Some(length))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Compound<'a, 'o>, EncodeError> {
        self.variant(variant, MAP, length)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// An open array or map, or an open variant with its array or map.
pub(super) struct Compound<'a, 'o> {
    serializer: &'a mut Serializer<'o>,
    /// Its length was not known, so a break ends it.
    indefinite: bool,
    /// Whether the next field is the number of a tag.
    tag_next: bool,
    /// How many levels it opened.
    levels: usize,
}

impl<'a, 'o> Compound<'a, 'o> {
    fn new(serializer: &'a mut Serializer<'o>, indefinite: bool, levels: usize) -> Self {
        Compound { serializer, indefinite, tag_next: false, levels }
    }

    /// Opens a tag and its item, of which neither is written.
    fn tagged(serializer: &'a mut Serializer<'o>) -> Self {
        Compound { serializer, indefinite: false, tag_next: true, levels: 1 }
    }

    #[inline]
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        value.serialize(&mut *self.serializer)
    }

    #[inline]
    fn entry<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), EncodeError> {
        write_string(self.serializer.out, TEXT, key.as_bytes());
        self.item(value)
    }

    #[inline]
    fn finish(self) -> Result<(), EncodeError> {
        if self.indefinite {
            self.serializer.out.push(BREAK);
        }
        self.serializer.close(self.levels);
        Ok(())
    }
}

impl ser::SerializeSeq for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.item(value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish()
    }
}

impl ser::SerializeTuple for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.item(value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish()
    }
}

impl ser::SerializeTupleStruct for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.item(value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish()
    }
}

impl ser::SerializeTupleVariant for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        if !std::mem::take(&mut self.tag_next) {
            return self.item(value);
        }
        let tag = tag_number(value).ok_or_else(|| ser::Error::custom("a tag must be an unsigned integer"))?;
        write_head(self.serializer.out, TAG, tag);
        Ok(())
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish()
    }
}

impl ser::SerializeMap for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), EncodeError> {
        self.item(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.item(value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish()
    }
}

impl ser::SerializeStruct for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), EncodeError> {
        self.entry(key, value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish()
    }
}

impl ser::SerializeStructVariant for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), EncodeError> {
        self.entry(key, value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish()
    }
}

/// Returns the tag number that the first field of [`tagged::TAGGED`] contains. `None` if it is not an unsigned integer.
fn tag_number<T: Serialize + ?Sized>(field: &T) -> Option<u64> {
    let mut head = Vec::with_capacity(9);
    field.serialize(&mut Serializer::new(&mut head)).ok()?;
    match Reader::new(&head).head() {
        Ok(Head::Unsigned(tag)) => Some(tag),
        _ => None,
    }
}
