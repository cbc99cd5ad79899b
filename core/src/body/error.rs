//! The errors of encoding and decoding, with messages that state what to change in the value.

use std::fmt;

use serde::{
    de::{self, Expected, Unexpected},
    ser,
};

use super::reader::Malformed;

/// The most characters of a received text that an error repeats: enough to recognise it, and few enough to print.
const QUOTED_CHARS_MAX: usize = 40;

/// The error of decoding a body.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodeError(Box<Problem>);

#[derive(Clone, PartialEq, Eq)]
struct Problem {
    kind: DecodeErrorKind,
    path: String,
    position: Option<usize>,
}

/// The kind of a [`DecodeError`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes are not exactly one well-formed CBOR item within the limits. The text continues a sentence after "it".
    Malformed(String),
    /// A CBOR item has another type, or is out of range.
    Mismatch {
        /// What was expected, such as `a number` or `an integer (u8)`.
        expected: String,
        /// What was found, such as `an array` or `the integer 300`.
        got: String,
    },
    /// The message of the type's own `Deserialize` implementation.
    Custom(String),
}

impl DecodeError {
    /// Returns the kind of the error.
    pub fn kind(&self) -> &DecodeErrorKind {
        &self.0.kind
    }

    /// Returns the path in the value, such as `points[3].x`. It is empty for the value itself.
    pub fn path(&self) -> &str {
        self.0.path.strip_prefix('.').unwrap_or(&self.0.path)
    }

    /// Returns the path as a suffix to a name: `.x` or `[3]`.
    pub(super) fn path_within(&self) -> &str {
        &self.0.path
    }

    /// Returns how many bytes had been read when the error was detected.
    pub fn position(&self) -> Option<usize> {
        self.0.position
    }

    fn new(kind: DecodeErrorKind) -> DecodeError {
        DecodeError(Box::new(Problem { kind, path: String::new(), position: None }))
    }

    /// Creates the error for an item that is not what the type expects.
    pub(super) fn mismatch(expected: &dyn Expected, got: &str) -> DecodeError {
        let expected = expectation(expected.to_string());
        DecodeError::new(DecodeErrorKind::Mismatch { expected, got: got.to_owned() })
    }

    /// Sets the position, unless it is set.
    pub(super) fn at(mut self, position: usize) -> DecodeError {
        self.0.position.get_or_insert(position);
        self
    }

    /// Puts this element of an array in front of the path.
    pub(super) fn inside_item(mut self, index: u64) -> DecodeError {
        self.0.path.insert_str(0, &format!("[{index}]"));
        self
    }

    /// Puts this key in front of the path.
    pub(super) fn inside_key(mut self, key: &str) -> DecodeError {
        self.0.path.insert_str(0, &format!(".{}", shortened(key)));
        self
    }
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeErrorKind::Malformed(how) => write!(f, "not one well-formed CBOR item: it {how}"),
            DecodeErrorKind::Mismatch { expected, got } => write!(f, "expected {expected}, got {got}"),
            DecodeErrorKind::Custom(why) => f.write_str(why),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.path.is_empty() {
            write!(f, "{}: ", self.path())?;
        }
        write!(f, "{}", self.0.kind)?;
        self.0.position.map_or(Ok(()), |position| write!(f, " (before byte {position})"))
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecodeError({self})")
    }
}

impl std::error::Error for DecodeError {}

impl From<Malformed> for DecodeError {
    #[cold]
    fn from(how: Malformed) -> DecodeError {
        DecodeError::new(DecodeErrorKind::Malformed(how.to_string()))
    }
}

impl de::Error for DecodeError {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> DecodeError {
        DecodeError::new(DecodeErrorKind::Custom(message.to_string()))
    }

    #[cold]
    fn invalid_type(got: Unexpected<'_>, expected: &dyn Expected) -> DecodeError {
        DecodeError::mismatch(expected, &type_of(got))
    }

    #[cold]
    fn invalid_value(got: Unexpected<'_>, expected: &dyn Expected) -> DecodeError {
        DecodeError::mismatch(expected, &value_of(got))
    }

    #[cold]
    fn invalid_length(length: usize, expected: &dyn Expected) -> DecodeError {
        let plural = if length == 1 { "" } else { "s" };
        DecodeError::mismatch(expected, &format!("{length} item{plural}"))
    }

    #[cold]
    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> DecodeError {
        let expected = format!("one of {}", expected.join(", "));
        DecodeError::mismatch(&expected.as_str(), &shortened(variant))
    }
}

/// Converts serde's description of an expected type to that of this library.
fn expectation(description: String) -> String {
    match description.as_str() {
        "f32" | "f64" => "a number".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" | "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => {
            format!("an integer ({description})")
        }
        "a string" | "a borrowed string" | "string" | "str" => "text".to_owned(),
        "a sequence" => "an array".to_owned(),
        "byte array" | "a byte array" | "a borrowed byte array" => "bytes".to_owned(),
        "unit" => "null".to_owned(),
        _ => description,
    }
}

fn type_of(got: Unexpected<'_>) -> String {
    match got {
        Unexpected::Bool(_) => "a boolean".to_owned(),
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer".to_owned(),
        Unexpected::Float(_) => "a float".to_owned(),
        Unexpected::Char(_) | Unexpected::Str(_) => "text".to_owned(),
        Unexpected::Bytes(_) => "bytes".to_owned(),
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Seq => "an array".to_owned(),
        Unexpected::Map => "a map".to_owned(),
        Unexpected::UnitVariant => "a name alone".to_owned(),
        other => other.to_string(),
    }
}

fn value_of(got: Unexpected<'_>) -> String {
    match got {
        Unexpected::Unsigned(value) => format!("the integer {value}"),
        Unexpected::Signed(value) => format!("the integer {value}"),
        Unexpected::Float(value) => format!("the float {value:?}"),
        Unexpected::Str(text) => format!("{:?}", shortened(text)),
        Unexpected::Other("u128" | "i128") => "an integer out of its range".to_owned(),
        other => type_of(other),
    }
}

/// Returns a received text, truncated to a length that suits a message.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// The error of encoding a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The value nests deeper than [`crate::wire::limits::DEPTH_MAX`] levels, which receivers reject: flatten it.
    #[error(
        "the value nests deeper than {} levels, which receivers reject: flatten it",
        crate::wire::limits::DEPTH_MAX
    )]
    TooDeep,
    /// The message of the value's own `Serialize` implementation.
    #[error("the value cannot be encoded: {0}")]
    Custom(Box<str>),
}

impl ser::Error for EncodeError {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> EncodeError {
        EncodeError::Custom(message.to_string().into())
    }
}
