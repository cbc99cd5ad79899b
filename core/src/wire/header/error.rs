//! The error of an envelope that is not accepted.

use std::fmt;

use super::{
    super::{kind::Kind, method::NameError, status::Code},
    cursor::EncodingError,
    keys,
};

/// An envelope that was not accepted. The other envelopes of its bundle are not affected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeError {
    /// The number of the kind, if it could be read.
    pub kind: Option<u64>,
    /// The number of the envelope, if it could be read. With a number, a failure can be sent in response.
    pub number: Option<u64>,
    /// The bytes of the body, if it could be found: the credit that the envelope used.
    pub body_bytes: u64,
    /// The reason.
    pub reason: EnvelopeErrorReason,
}

/// The reason why an envelope is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeErrorReason {
    /// The envelope violates a rule of bundles or of the encoding.
    #[error("{0}")]
    Malformed(&'static str),
    /// The value of a key is invalid.
    #[error("key {key} ({}) {reason}", key_name(*.key))]
    Value {
        /// The key.
        key: u64,
        /// The rule that the value violates.
        reason: &'static str,
    },
    /// Key 2 is not a valid name of a method.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A known key is not allowed in this kind.
    #[error("key {0} ({name}) is not allowed in this kind of envelope", name = key_name(*.0))]
    MisplacedKey(u64),
    /// A required key of this kind is missing.
    #[error("key {0} ({name}) is missing", name = key_name(*.0))]
    MissingKey(u64),
    /// The kind is unknown or reserved.
    #[error("kind {0} is unknown or reserved")]
    UnknownKind(u64),
    /// A critical key (below 64) has no meaning in this version.
    #[error("key {0} is unknown, and keys below 64 must not be ignored")]
    UnknownKey(u64),
    /// A key is reserved.
    #[error("key {0} ({name}) is reserved, and must not be ignored", name = key_name(*.0))]
    ReservedKey(u64),
    /// Bits of key 5 have no meaning in this version.
    #[error("flags {0:#x} are unknown, and flags must not be ignored")]
    UnknownFlags(u64),
    /// Bits of key 29 have no meaning in this version.
    #[error("streams {0:#x} are unknown, and streams must not be ignored")]
    UnknownStreams(u64),
}

impl From<EnvelopeErrorReason> for EnvelopeError {
    /// Creates an error without a kind and a number.
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
    /// Returns the status code of the error: `Unimplemented` if a later version may define the value, otherwise `InvalidArgument`.
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
        f.write_str("rejected ")?;
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
