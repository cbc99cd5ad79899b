//! Why a key or a file of keys is not accepted.

use crate::wire::limits::{AUTHKEY_BYTES_MAX, AUTHKEY_BYTES_MIN, AUTHKEYS_MAX, NAME_BYTES_MAX};

/// Why something is no key. Says nothing of the key itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthKeyError {
    /// It is too short to be safe, or too long to be one.
    #[error(
        "an authkey has {AUTHKEY_BYTES_MIN} to {AUTHKEY_BYTES_MAX} bytes, and this one has {0}: make one with \
         `openssl rand -base64 32`"
    )]
    Length(usize),
    /// A name that a log could not show.
    #[error("an authkey's id is made of letters, digits, -, _ and ., at most {NAME_BYTES_MAX} of them")]
    Id,
    /// Roles that there are not.
    #[error("an authkey's roles are client, operator and worker, with commas between them, as in roles=client,worker")]
    Roles,
    /// A line that is neither a key nor its fields.
    #[error("write the key alone, or id=NAME roles=ROLES key=KEY, with the key last")]
    Fields,
}

/// Why something is no set of keys. Says nothing of the keys themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthKeysError {
    /// A line that is no key.
    #[error("line {line}: {error}")]
    Line {
        /// Which one, from 1.
        line: usize,
        /// Why not.
        error: AuthKeyError,
    },
    /// There is none.
    #[error("there is no key in it: write one a line; `openssl rand -base64 32` makes one")]
    Empty,
    /// There are too many to try.
    #[error("there are more than {AUTHKEYS_MAX} keys in it: leave out those that nobody uses any more")]
    TooMany,
    /// Two keys, or two ids, are the same.
    #[error("a key or an id is there twice: each key needs a secret and an id of its own")]
    Duplicate,
}
