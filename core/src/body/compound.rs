//! The inside of arrays, maps and variants that are being written.

use serde::{Serialize, ser};

use super::{
    encode::{BREAK, Serializer, TAG, TEXT, head, string},
    error::EncodeError,
    tagged,
};

/// An array, a map, or a variant with its array or map, that is open.
pub(super) struct Compound<'a, 'o> {
    serializer: &'a mut Serializer<'o>,
    /// Its length was not known: a break ends it.
    indefinite: bool,
    /// The next field is the number of a tag.
    tag: bool,
    /// Levels that it opened.
    levels: usize,
}

impl<'a, 'o> Compound<'a, 'o> {
    pub(super) fn new(serializer: &'a mut Serializer<'o>, indefinite: bool, levels: usize) -> Self {
        Compound { serializer, indefinite, tag: false, levels }
    }

    /// A tag and its item, neither written yet.
    pub(super) fn tagged(serializer: &'a mut Serializer<'o>) -> Self {
        Compound { serializer, indefinite: false, tag: true, levels: 1 }
    }

    #[inline]
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        value.serialize(&mut *self.serializer)
    }

    #[inline]
    fn entry<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), EncodeError> {
        string(self.serializer.out, TEXT, key.as_bytes());
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
        if !std::mem::take(&mut self.tag) {
            return self.item(value);
        }
        let tag = tagged::tag_number(value).ok_or_else(|| ser::Error::custom("a tag must be an unsigned integer"))?;
        head(self.serializer.out, TAG, tag);
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
