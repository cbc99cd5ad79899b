//! The encoding of arguments, for callers.

use bytes::Bytes;
use serde::Serialize;

use crate::body::{
    EncodeError,
    encode::Serializer,
    writer::{ARRAY, MAP, TEXT, UNSIGNED, write_head, write_string},
};

/// The arguments of a call: `()`, a tuple of values in the order of the parameters, or an [`ArgumentMap`].
///
/// ```
/// use callboard_core::body::arguments::{ArgumentMap, Arguments, named};
///
/// assert_eq!((2, 3).encode()?, ArgumentMap::new().position(2).position(3).encode()?);
/// let by_name = named([("x", 2), ("y", 3)]);
/// let mixed = ArgumentMap::new().position(2).name("y", "three");
/// # by_name.encode()?;
/// # mixed.encode()?;
/// # Ok::<(), callboard_core::body::EncodeError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the arguments of a call",
    note = "one argument is a tuple of one: `(x,)`; no argument is `()`; arguments by name are `named([(\"x\", 2)])`"
)]
pub trait Arguments {
    /// Encodes the arguments as the body of a call.
    ///
    /// # Errors
    ///
    /// If one of the values cannot be encoded; see [`crate::body::encode`].
    fn encode(&self) -> Result<Bytes, EncodeError>;
}

impl<A: Arguments + ?Sized> Arguments for &A {
    fn encode(&self) -> Result<Bytes, EncodeError> {
        (**self).encode()
    }
}

impl Arguments for () {
    fn encode(&self) -> Result<Bytes, EncodeError> {
        Ok(Bytes::from_static(&[ARRAY]))
    }
}

macro_rules! arguments_of_tuples {
    ($($($name:ident)+;)+) => {
        $(
            impl<$($name: Serialize),+> Arguments for ($($name,)+) {
                fn encode(&self) -> Result<Bytes, EncodeError> {
                    crate::body::encode(self)
                }
            }
        )+
    };
}

arguments_of_tuples! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
    A B C D E F G H I;
    A B C D E F G H I J;
    A B C D E F G H I J K;
    A B C D E F G H I J K L;
}

/// Arguments that are already encoded. They are sent unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedArguments(
    /// One CBOR item: an array of values by position, or a map by name and position.
    pub Bytes,
);

impl Arguments for EncodedArguments {
    fn encode(&self) -> Result<Bytes, EncodeError> {
        Ok(self.0.clone())
    }
}

/// Returns arguments by name, all of one type. For arguments of several types, use [`ArgumentMap::name`].
pub fn named<N: AsRef<str>, T: Serialize>(arguments: impl IntoIterator<Item = (N, T)>) -> ArgumentMap {
    arguments.into_iter().fold(ArgumentMap::new(), |map, (name, value)| map.name(name.as_ref(), value))
}

/// Arguments that are added one by one, by position or by name.
///
/// If a value cannot be encoded, [`Arguments::encode`] returns the error.
#[derive(Clone, Debug, Default)]
pub struct ArgumentMap {
    /// The values by position, from 0 without gaps.
    positions: Vec<Bytes>,
    /// Encoded pairs of a name and its value.
    names: Vec<u8>,
    names_len: u64,
    error: Option<EncodeError>,
}

impl ArgumentMap {
    /// Creates an empty list of arguments.
    pub fn new() -> ArgumentMap {
        ArgumentMap::default()
    }

    /// Adds the next argument by position.
    pub fn position(mut self, value: impl Serialize) -> ArgumentMap {
        let mut encoded = Vec::new();
        self.add(&mut encoded, value);
        self.positions.push(encoded.into());
        self
    }

    /// Adds an argument by name.
    pub fn name(mut self, name: &str, value: impl Serialize) -> ArgumentMap {
        let mut names = std::mem::take(&mut self.names);
        write_string(&mut names, TEXT, name.as_bytes());
        self.add(&mut names, value);
        self.names = names;
        self.names_len += 1;
        self
    }

    fn add(&mut self, out: &mut Vec<u8>, value: impl Serialize) {
        if let Err(error) = value.serialize(&mut Serializer::in_container(out)) {
            self.error.get_or_insert(error);
        }
    }
}

impl Arguments for ArgumentMap {
    /// Encodes an array if all arguments are by position, otherwise a map.
    fn encode(&self) -> Result<Bytes, EncodeError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let positions_len = self.positions.len() as u64;
        let mut out = Vec::new();
        match self.names_len {
            0 => write_head(&mut out, ARRAY, positions_len),
            names_len => write_head(&mut out, MAP, positions_len + names_len),
        }
        for (position, value) in (0..).zip(&self.positions) {
            if self.names_len > 0 {
                write_head(&mut out, UNSIGNED, position);
            }
            out.extend_from_slice(value);
        }
        out.extend_from_slice(&self.names);
        Ok(out.into())
    }
}
