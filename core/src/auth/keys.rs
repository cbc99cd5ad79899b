//! The keys of one side, and their file.

use std::str::FromStr;

use super::{AuthKey, AuthKeysError};
use crate::wire::limits::AUTHKEYS_MAX;

/// The keys of one side, at least one. Proofs are made with the first key, and accepted for every key. So keys can be rotated without
/// an interruption.
///
/// The text form is a key file with one key on each line (see [`AuthKey`]). Empty lines and lines that begin with `#` are ignored.
///
/// ```
/// use callboard_core::auth::AuthKeys;
///
/// let keys: AuthKeys = "# since May\nid=new key=0123456789abcdef\nid=old key=fedcba9876543210\n".parse()?;
/// assert_eq!(keys.first().id(), Some("new"));
/// assert_eq!(keys.iter().count(), 2);
/// # Ok::<(), callboard_core::auth::AuthKeysError>(())
/// ```
#[derive(Clone, Debug)]
pub struct AuthKeys(Vec<AuthKey>);

impl AuthKeys {
    /// Creates a set of these keys. Proofs are made with the first one.
    ///
    /// # Errors
    /// [`AuthKeysError`] if there are no keys or too many, or if two have the same secret or id.
    pub fn new(keys: Vec<AuthKey>) -> Result<AuthKeys, AuthKeysError> {
        let is_duplicate = |one: &AuthKey, other: &AuthKey| {
            one.has_same_secret(other) || (one.id().is_some() && one.id() == other.id())
        };
        match keys.len() {
            0 => Err(AuthKeysError::Empty),
            len if len > AUTHKEYS_MAX => Err(AuthKeysError::TooMany),
            _ if keys.iter().enumerate().any(|(at, key)| keys[..at].iter().any(|other| is_duplicate(key, other))) => {
                Err(AuthKeysError::Duplicate)
            }
            _ => Ok(AuthKeys(keys)),
        }
    }

    /// Returns the key that proofs are made with.
    pub fn first(&self) -> &AuthKey {
        self.0.first().expect("new checks that there is at least one key")
    }

    /// Returns all keys in order.
    pub fn iter(&self) -> impl Iterator<Item = &AuthKey> {
        self.0.iter()
    }
}

impl From<AuthKey> for AuthKeys {
    fn from(key: AuthKey) -> AuthKeys {
        AuthKeys(vec![key])
    }
}

impl FromStr for AuthKeys {
    type Err = AuthKeysError;

    fn from_str(text: &str) -> Result<AuthKeys, AuthKeysError> {
        let mut keys = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                keys.push(line.parse().map_err(|error| AuthKeysError::Line { line: at + 1, error })?);
            }
        }
        AuthKeys::new(keys)
    }
}
