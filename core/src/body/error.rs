//! What goes wrong between Rust values and bodies, in words that tell whoever made the value what to change.

use std::fmt;

use serde::{
    de::{self, Expected, Unexpected},
    ser,
};

use super::reader::Malformed;

/// Characters of a foreign text that an error repeats: enough to recognise it, little enough to print.
const QUOTED_CHARS_MAX: usize = 40;

/// Why a body is not the value that was asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodeError(Box<Problem>);

#[derive(Clone, PartialEq, Eq)]
struct Problem {
    kind: DecodeErrorKind,
    path: String,
    position: Option<usize>,
}

/// What is wrong, to act on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes are not exactly one well-formed CBOR item within the limits. The text goes on after "it".
    Malformed(String),
    /// A CBOR item of another type, or out of range.
    Mismatch {
        /// What would have fitted, such as `a number` or `an integer (u8)`.
        expected: String,
        /// What is there, such as `an array` or `the integer 300`.
        got: String,
    },
    /// What the type itself says about it.
    Refused(String),
}

impl DecodeError {
    /// What is wrong.
    pub fn kind(&self) -> &DecodeErrorKind {
        &self.0.kind
    }

    /// Where in the value, such as `points[3].x`; empty for the value itself.
    pub fn path(&self) -> &str {
        self.0.path.strip_prefix('.').unwrap_or(&self.0.path)
    }

    /// The path as it goes on after a name: `.x` or `[3]`.
    pub(super) fn path_within(&self) -> &str {
        &self.0.path
    }

    /// How many bytes had been read when it was noticed.
    pub fn position(&self) -> Option<usize> {
        self.0.position
    }

    fn new(kind: DecodeErrorKind) -> DecodeError {
        DecodeError(Box::new(Problem { kind, path: String::new(), position: None }))
    }

    pub(super) fn mismatch(expected: &dyn Expected, got: &str) -> DecodeError {
        let expected = expectation(expected.to_string());
        DecodeError::new(DecodeErrorKind::Mismatch { expected, got: got.to_owned() })
    }

    pub(super) fn at(mut self, position: usize) -> DecodeError {
        self.0.position.get_or_insert(position);
        self
    }

    /// Says that it happened within this element of an array.
    pub(super) fn inside_item(mut self, index: u64) -> DecodeError {
        self.0.path.insert_str(0, &format!("[{index}]"));
        self
    }

    /// Says that it happened within the value of this key.
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
            DecodeErrorKind::Refused(why) => f.write_str(why),
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
        DecodeError::new(DecodeErrorKind::Refused(message.to_string()))
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

/// serde's word for what would have fitted, in the words of this library.
fn expectation(word: String) -> String {
    match word.as_str() {
        "f32" | "f64" => "a number".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" | "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => {
            format!("an integer ({word})")
        }
        "a string" | "a borrowed string" | "string" | "str" => "text".to_owned(),
        "a sequence" => "an array".to_owned(),
        "byte array" | "a byte array" | "a borrowed byte array" => "bytes".to_owned(),
        "unit" => "null".to_owned(),
        _ => word,
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

/// A foreign text, cut to a length that fits in a message.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Why a value has no body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// It nests deeper than a receiver reads (see [`crate::wire::limits::DEPTH_MAX`]): send it in a flatter shape.
    #[error("the value nests deeper than {} levels, which no receiver reads", crate::wire::limits::DEPTH_MAX)]
    TooDeep,
    /// What the value's own `Serialize` says.
    #[error("the value cannot be encoded: {0}")]
    Refused(Box<str>),
}

impl ser::Error for EncodeError {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> EncodeError {
        EncodeError::Refused(message.to_string().into())
    }
}
