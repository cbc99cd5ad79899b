//! Why an envelope is not accepted.

use std::fmt;

use super::{
    super::{kind::Kind, method::NameError, status::Code},
    cursor::EncodingError,
    keys,
};

/// An envelope that was not accepted. The other envelopes of its bundle are not affected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeError {
    /// The number of its kind, if it could be read.
    pub kind: Option<u64>,
    /// Its number, if it could be read. With a number, the error can be answered.
    pub number: Option<u64>,
    /// The bytes of its body, if it could be found: what the envelope cost in credit.
    pub body_bytes: u64,
    /// What is wrong with it.
    pub reason: EnvelopeErrorReason,
}

/// What is wrong with an envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeErrorReason {
    /// It breaks a rule of bundles or of the encoding.
    #[error("{0}")]
    Malformed(&'static str),
    /// A key's value does not fit the key.
    #[error("key {key} ({}) {reason}", key_name(*.key))]
    Value {
        /// The key.
        key: u64,
        /// The rule that its value breaks.
        reason: &'static str,
    },
    /// Key 2 is no method name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A key that is known, but has no place in this kind.
    #[error("key {0} ({name}) has no place in this kind of envelope", name = key_name(*.0))]
    MisplacedKey(u64),
    /// A key that this kind must have.
    #[error("key {0} ({name}) is missing", name = key_name(*.0))]
    MissingKey(u64),
    /// A kind that is unknown or reserved.
    #[error("kind {0} is unknown or kept for a later version")]
    UnknownKind(u64),
    /// A critical key (below 64) without a meaning in this version.
    #[error("key {0} is not known here, and keys below 64 must not be ignored")]
    UnknownKey(u64),
    /// A key that is reserved.
    #[error("key {0} ({name}) is kept for a later version and must not be ignored", name = key_name(*.0))]
    ReservedKey(u64),
    /// Bits of key 5 without a meaning in this version.
    #[error("flags {0:#x} are not known here, and flags must not be ignored")]
    UnknownFlags(u64),
    /// Bits of key 29 without a meaning in this version.
    #[error("streams {0:#x} are not known here, and must not be ignored")]
    UnknownStreams(u64),
}

impl From<EnvelopeErrorReason> for EnvelopeError {
    /// Creates the error of an envelope of which nothing else is known.
    fn from(reason: EnvelopeErrorReason) -> Self {
        EnvelopeError { kind: None, number: None, body_bytes: 0, reason }
    }
}

fn key_name(key: u64) -> &'static str {
    keys::name(key).unwrap_or("unnamed")
}

impl From<EncodingError> for EnvelopeErrorReason {
    fn from(error: EncodingError) -> Self {
        EnvelopeErrorReason::Malformed(error.0)
    }
}

impl EnvelopeError {
    /// Returns the code to answer with: `Unimplemented` if a later version may define it, otherwise `InvalidArgument`.
    pub fn code(&self) -> Code {
        use EnvelopeErrorReason::*;
        match self.reason {
            UnknownKind(_) | UnknownKey(_) | ReservedKey(_) => Code::Unimplemented,
            UnknownFlags(_) | UnknownStreams(_) => Code::Unimplemented,
            Malformed(_) | Value { .. } | Name(_) | MisplacedKey(_) | MissingKey(_) => Code::InvalidArgument,
        }
    }
}

impl std::error::Error for EnvelopeError {}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused ")?;
        match self.kind {
            None => f.write_str("envelope")?,
            Some(kind) => match Kind::from_number(kind) {
                Some(known) => write!(f, "{}", known.name())?,
                None => write!(f, "kind {kind}")?,
            },
        }
        if let Some(number) = self.number {
            write!(f, " {number}")?;
        }
        write!(f, ": {}", self.reason)
    }
}
