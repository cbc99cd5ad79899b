//! Why a key or a file of keys is not accepted.

use crate::wire::limits::{AUTHKEY_BYTES_MAX, AUTHKEY_BYTES_MIN, AUTHKEYS_MAX, NAME_BYTES_MAX};

/// Why a text or a secret is not accepted as a key. It never contains the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthKeyError {
    /// The key is too short to be safe, or too long.
    #[error(
        "an authkey must have {AUTHKEY_BYTES_MIN} to {AUTHKEY_BYTES_MAX} bytes, and this one has {0}: create one with \
         `openssl rand -base64 32`"
    )]
    Length(usize),
    /// The id has characters that are not allowed in a log, or is too long.
    #[error("the id of an authkey must consist of at most {NAME_BYTES_MAX} letters, digits, -, _ and .")]
    Id,
    /// A role is unknown.
    #[error(
        "the roles of an authkey must be client, operator or worker, separated by commas, as in roles=client,worker"
    )]
    Roles,
    /// The line is neither a key nor a list of fields.
    #[error("invalid line: write the key alone, or id=NAME roles=ROLES key=KEY, with the key last")]
    Fields,
}

/// Why a list or a file of keys is not accepted. It never contains a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthKeysError {
    /// A line is not a key.
    #[error("line {line}: {error}")]
    Line {
        /// The number of the line, from 1.
        line: usize,
        /// Why the line is not a key.
        error: AuthKeyError,
    },
    /// There are no keys.
    #[error("it contains no key: write one on each line; `openssl rand -base64 32` creates one")]
    Empty,
    /// There are more keys than a broker may try on each proof.
    #[error("it contains more than {AUTHKEYS_MAX} keys: remove those that are not in use")]
    TooMany,
    /// Two keys, or two ids, are equal.
    #[error("it contains a key or an id twice: each key needs a secret and an id of its own")]
    Duplicate,
}
