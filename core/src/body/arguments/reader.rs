//! The decoding of arguments, for workers.

use serde::{
    Deserialize,
    de::{self, Visitor, value::Error as ValueError},
    forward_to_deserialize_any,
};

use super::error::ArgumentError;
use crate::{
    body::{
        DecodeError,
        decode::Deserializer,
        reader::{Head, Malformed, Reader},
    },
    wire::limits::DEPTH_MAX,
};

/// Reads the arguments of one call in the order of the parameters.
///
/// ```
/// use callboard_core::body::arguments::{ArgumentReader, Arguments, named};
///
/// let body = named([("y", 3), ("x", 2)]).encode()?;
/// let mut arguments = ArgumentReader::new(&["x", "y", "scale"], &body)?;
/// assert_eq!(arguments.next::<f64>()?, 2.0);
/// assert_eq!(arguments.next::<u8>()?, 3);
/// assert_eq!(arguments.next::<Option<u8>>()?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ArgumentReader<'n, 'b, N> {
    names: &'n [N],
    remaining: Remaining<'b>,
    /// The index of the next parameter.
    index: usize,
}

/// The arguments that were not read yet.
#[derive(Debug)]
enum Remaining<'b> {
    /// An array, which is the common case. Each value is decoded when it is asked for.
    InOrder { items: Reader<'b>, left: u64 },
    /// The encoded value of each parameter, found beforehand.
    ByParameter(Vec<Option<&'b [u8]>>),
}

impl<'n, 'b, N: AsRef<str>> ArgumentReader<'n, 'b, N> {
    /// Creates a reader of the arguments in `body`, for a method with parameters of these names.
    ///
    /// # Errors
    ///
    /// If the body is not an array or a map of arguments, or if an argument is unknown, duplicate, or one too many.
    pub fn new(names: &'n [N], body: &'b [u8]) -> Result<Self, ArgumentError> {
        let mut reader = Reader::new(body);
        let remaining = match reader.head().map_err(ArgumentError::malformed)? {
            Head::Array(Some(left)) => in_order(names, reader, left)?,
            Head::Array(None) => Remaining::ByParameter(by_position(names, reader)?),
            Head::Map(length) => Remaining::ByParameter(by_key(names, reader, length)?),
            head => return Err(ArgumentError::no_arguments(head.description())),
        };
        Ok(ArgumentReader { names, remaining, index: 0 })
    }

    /// Returns the next parameter's value. If it was omitted and the parameter is an `Option`, the value is `None`.
    ///
    /// # Errors
    ///
    /// If the value cannot be decoded as a `T`, or was omitted. After an error, the reader must not be used.
    ///
    /// # Panics
    ///
    /// If all parameters were read.
    #[allow(clippy::should_implement_trait)] // each item has its own type
    pub fn next<T: Deserialize<'b>>(&mut self) -> Result<T, ArgumentError> {
        let name = self.names[self.index].as_ref();
        self.index += 1;
        match &mut self.remaining {
            Remaining::InOrder { left: 0, .. } => omitted(name),
            Remaining::InOrder { items, left } => {
                *left -= 1;
                let value = read(name, items)?;
                if *left == 0 {
                    expect_end(items)?
                };
                Ok(value)
            }
            Remaining::ByParameter(values) => match values[self.index - 1] {
                Some(value) => read(name, &mut Reader::new(value)),
                None => omitted(name),
            },
        }
    }
}

/// Prepares an array of definite length, whose values are decoded one by one.
fn in_order<'b, N: AsRef<str>>(names: &[N], items: Reader<'b>, left: u64) -> Result<Remaining<'b>, ArgumentError> {
    if left > names.len() as u64 {
        return Err(ArgumentError::too_many(left, names));
    }
    if left == 0 {
        expect_end(&items)?;
    }
    Ok(Remaining::InOrder { items, left })
}

/// Finds the value of each parameter in an array of indefinite length.
fn by_position<'b, N: AsRef<str>>(names: &[N], mut reader: Reader<'b>) -> Result<Vec<Option<&'b [u8]>>, ArgumentError> {
    let mut values = vec![None; names.len()];
    let mut given = 0;
    while !reader.at_break().map_err(ArgumentError::malformed)? {
        let value = slice(&mut reader)?;
        *values.get_mut(given).ok_or_else(|| ArgumentError::too_many(given as u64 + 1, names))? = Some(value);
        given += 1;
    }
    expect_end(&reader).map(|()| values)
}

/// Finds the value of each parameter in a map.
fn by_key<'b, N: AsRef<str>>(
    names: &[N],
    mut reader: Reader<'b>,
    length: Option<u64>,
) -> Result<Vec<Option<&'b [u8]>>, ArgumentError> {
    let mut values = vec![None; names.len()];
    let mut left = length;
    loop {
        match &mut left {
            Some(0) => break,
            Some(left) => *left -= 1,
            None if reader.at_break().map_err(ArgumentError::malformed)? => break,
            None => {}
        }
        let position = key(names, &mut reader)?;
        if values[position].replace(slice(&mut reader)?).is_some() {
            return Err(ArgumentError::duplicate(names[position].as_ref()));
        }
    }
    expect_end(&reader).map(|()| values)
}

/// Reads a key and finds its parameter.
fn key<N: AsRef<str>>(names: &[N], reader: &mut Reader<'_>) -> Result<usize, ArgumentError> {
    match reader.head().map_err(ArgumentError::malformed)? {
        Head::Unsigned(position) => usize::try_from(position)
            .ok()
            .filter(|position| *position < names.len())
            .ok_or_else(|| ArgumentError::too_many(position.saturating_add(1), names)),
        Head::Text(length) => {
            let name = reader.text(length).map_err(ArgumentError::malformed)?;
            let found = names.iter().position(|known| known.as_ref() == name);
            found.ok_or_else(|| ArgumentError::unknown(&name, names))
        }
        head => Err(ArgumentError::no_arguments(&format!("{} as a key", head.description()))),
    }
}

/// Returns the bytes of the next item.
fn slice<'b>(reader: &mut Reader<'b>) -> Result<&'b [u8], ArgumentError> {
    let before = *reader;
    reader.skip(DEPTH_MAX - 1).map_err(ArgumentError::malformed)?;
    Ok(reader.since(before))
}

/// Checks that no bytes follow the arguments.
fn expect_end(reader: &Reader<'_>) -> Result<(), ArgumentError> {
    if reader.rest().is_empty() { Ok(()) } else { Err(ArgumentError::malformed(Malformed::TrailingBytes)) }
}

#[inline]
fn read<'b, T: Deserialize<'b>>(name: &str, items: &mut Reader<'b>) -> Result<T, ArgumentError> {
    let mut deserializer = Deserializer::new(*items, DEPTH_MAX - 1);
    let value = T::deserialize(&mut deserializer).map_err(|error| undecodable(name, *items, &error));
    *items = deserializer.reader;
    value
}

#[cold]
fn undecodable(name: &str, mut item: Reader<'_>, error: &DecodeError) -> ArgumentError {
    let got = item.head().map_or("nothing", Head::description);
    ArgumentError::undecodable(name, got, error)
}

#[cold]
fn omitted<'b, T: Deserialize<'b>>(name: &str) -> Result<T, ArgumentError> {
    T::deserialize(OmittedArgument).map_err(|_| ArgumentError::missing(name))
}

/// The deserializer of an omitted argument: only an `Option` can be decoded from it.
struct OmittedArgument;

impl<'de> de::Deserializer<'de> for OmittedArgument {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ValueError> {
        Err(de::Error::custom("missing"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}
