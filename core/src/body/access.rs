//! What is inside arrays, maps and enums, handed out piece by piece.

use serde::de::{self, DeserializeSeed, Deserializer as _, Visitor};

use super::{
    decode::Deserializer,
    error::DecodeError,
    head::{Head, Malformed, Reader},
};

/// Room that is made for announced items before the first has come: the rest is made as they come.
const RESERVED_ITEMS_MAX: u64 = 4096;

/// The rest of an array or a map.
pub(super) struct Items<'a, 'de> {
    deserializer: &'a mut Deserializer<'de>,
    /// Items (of a map: pairs) that are to come; `None`: until the break.
    left: Option<u64>,
    /// Items that came.
    seen: u64,
    /// Where the current key of a map begins.
    key: Reader<'de>,
}

impl<'a, 'de> Items<'a, 'de> {
    /// The items behind a head that announced `length` of them.
    ///
    /// # Errors
    ///
    /// If more are announced than there are bytes: a lie that would only be found out at the end.
    #[inline]
    pub(super) fn new(deserializer: &'a mut Deserializer<'de>, length: Option<u64>) -> Result<Self, DecodeError> {
        let reader = deserializer.reader;
        match length {
            Some(length) if length > reader.rest().len() as u64 => Err(Malformed::Short.into()),
            left => Ok(Items { deserializer, left, seen: 0, key: reader }),
        }
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    ///
    /// If the type did not want all items: it is not the type of this array or map.
    #[inline]
    pub(super) fn end(mut self) -> Result<(), DecodeError> {
        let wanted = self.seen;
        match self.more()? {
            false => Ok(()),
            true => Err(too_many(wanted, self.left)),
        }
    }

    #[inline]
    fn more(&mut self) -> Result<bool, DecodeError> {
        match &mut self.left {
            Some(0) => return Ok(false),
            Some(left) => *left -= 1,
            None if self.deserializer.reader.at_break()? => {
                self.left = Some(0);
                return Ok(false);
            }
            None => {}
        }
        self.seen += 1;
        Ok(true)
    }

    fn hint(&self) -> Option<usize> {
        self.left.map(|left| left.min(RESERVED_ITEMS_MAX) as usize)
    }
}

impl<'de> de::SeqAccess<'de> for Items<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DecodeError> {
        if !self.more()? {
            return Ok(None);
        }
        let value = seed.deserialize(&mut *self.deserializer);
        value.map(Some).map_err(|error| error.inside_item(self.seen - 1))
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

impl<'de> de::MapAccess<'de> for Items<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        if !self.more()? {
            return Ok(None);
        }
        self.key = self.deserializer.reader;
        seed.deserialize(&mut *self.deserializer).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        seed.deserialize(&mut *self.deserializer).map_err(|error| inside_key(error, self.key))
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

#[cold]
fn too_many(wanted: u64, left: Option<u64>) -> DecodeError {
    let got = left.map_or("more".to_owned(), |left| format!("{} items", wanted + 1 + left));
    DecodeError::mismatch(&format!("{wanted} items").as_str(), &got)
}

/// Names the key that begins at `key`; it is read again, because only errors want to know it.
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

/// The one entry of a map that stands for a variant with its value.
pub(super) struct Variant<'a, 'de> {
    deserializer: &'a mut Deserializer<'de>,
    key: Reader<'de>,
}

impl<'a, 'de> Variant<'a, 'de> {
    /// The entry that comes next.
    pub(super) fn new(deserializer: &'a mut Deserializer<'de>) -> Self {
        let key = deserializer.reader;
        Variant { deserializer, key }
    }
}

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DecodeError> {
        Ok((seed.deserialize(&mut *self.deserializer)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
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
