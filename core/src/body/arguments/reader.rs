//! The worker's side: each parameter's value out of a body.

use serde::{
    Deserialize,
    de::{self, Visitor, value::Error as Absent},
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

/// Hands out the arguments of one call in the order of the parameters.
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
    given: Given<'b>,
    /// The parameter that is next.
    at: usize,
}

/// The arguments as far as they have not been handed out.
#[derive(Debug)]
enum Given<'b> {
    /// The common case: an array, read as it is handed out.
    InOrder { items: Reader<'b>, left: u64 },
    /// Each parameter's value, found beforehand.
    Found(Vec<Option<&'b [u8]>>),
}

impl<'n, 'b, N: AsRef<str>> ArgumentReader<'n, 'b, N> {
    /// The arguments in `body`, for a method with parameters of these names.
    ///
    /// # Errors
    ///
    /// If the body is neither an array nor a map of arguments, or one is unknown, given twice, or one too many.
    pub fn new(names: &'n [N], body: &'b [u8]) -> Result<Self, ArgumentError> {
        let mut reader = Reader::new(body);
        let given = match reader.head().map_err(ArgumentError::malformed)? {
            Head::Array(Some(left)) => in_order(names, reader, left)?,
            Head::Array(None) => Given::Found(by_position(names, reader)?),
            Head::Map(length) => Given::Found(by_key(names, reader, length)?),
            head => return Err(ArgumentError::no_arguments(head.description())),
        };
        Ok(ArgumentReader { names, given, at: 0 })
    }

    /// The next parameter's value. One that was left out is `None` if the parameter is an `Option`.
    ///
    /// # Errors
    ///
    /// If the value does not fit `T`, or was left out. An error is the end: what comes after it is undefined.
    ///
    /// # Panics
    ///
    /// If all parameters were handed out.
    #[allow(clippy::should_implement_trait)] // each item has a type of its own
    pub fn next<T: Deserialize<'b>>(&mut self) -> Result<T, ArgumentError> {
        let name = self.names[self.at].as_ref();
        self.at += 1;
        match &mut self.given {
            Given::InOrder { left: 0, .. } => absent(name),
            Given::InOrder { items, left } => {
                *left -= 1;
                let value = read(name, items)?;
                if *left == 0 {
                    ended(items)?
                };
                Ok(value)
            }
            Given::Found(values) => match values[self.at - 1] {
                Some(value) => read(name, &mut Reader::new(value)),
                None => absent(name),
            },
        }
    }
}

fn in_order<'b, N: AsRef<str>>(names: &[N], items: Reader<'b>, left: u64) -> Result<Given<'b>, ArgumentError> {
    if left > names.len() as u64 {
        return Err(ArgumentError::too_many(left, names));
    }
    if left == 0 {
        ended(&items)?;
    }
    Ok(Given::InOrder { items, left })
}

fn by_position<'b, N: AsRef<str>>(names: &[N], mut reader: Reader<'b>) -> Result<Vec<Option<&'b [u8]>>, ArgumentError> {
    let mut values = vec![None; names.len()];
    let mut given = 0;
    while !reader.at_break().map_err(ArgumentError::malformed)? {
        let value = slice(&mut reader)?;
        *values.get_mut(given).ok_or_else(|| ArgumentError::too_many(given as u64 + 1, names))? = Some(value);
        given += 1;
    }
    ended(&reader).map(|()| values)
}

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
            return Err(ArgumentError::twice(names[position].as_ref()));
        }
    }
    ended(&reader).map(|()| values)
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

/// The bytes of the next item.
fn slice<'b>(reader: &mut Reader<'b>) -> Result<&'b [u8], ArgumentError> {
    let before = *reader;
    reader.skip(DEPTH_MAX - 1).map_err(ArgumentError::malformed)?;
    Ok(reader.since(before))
}

fn ended(reader: &Reader<'_>) -> Result<(), ArgumentError> {
    if reader.rest().is_empty() { Ok(()) } else { Err(ArgumentError::malformed(Malformed::Trailing)) }
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
fn absent<'b, T: Deserialize<'b>>(name: &str) -> Result<T, ArgumentError> {
    T::deserialize(Nothing).map_err(|_| ArgumentError::missing(name))
}

/// What stands in for an argument that was left out: only an `Option` can be made of it.
struct Nothing;

impl<'de> de::Deserializer<'de> for Nothing {
    type Error = Absent;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Absent> {
        Err(de::Error::custom("missing"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Absent> {
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Absent> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}
