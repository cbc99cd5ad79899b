//! The keys of one side, and their file.

use std::str::FromStr;

use super::{AuthKey, AuthKeysError};
use crate::wire::limits::AUTHKEYS_MAX;

/// One key or several. The first is the one to prove with, all are accepted: so a key is replaced by another without a moment
/// at which nobody is let in.
///
/// As text it is a key file: one key a line (see [`AuthKey`]); empty lines, and lines that begin with `#`, are left out.
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
    /// These keys, the one to prove with first.
    ///
    /// # Errors
    /// [`AuthKeysError`] if there are none, too many, or one is there twice.
    pub fn new(keys: Vec<AuthKey>) -> Result<AuthKeys, AuthKeysError> {
        let same = |one: &AuthKey, other: &AuthKey| {
            one.has_same_secret(other) || (one.id().is_some() && one.id() == other.id())
        };
        match keys.len() {
            0 => Err(AuthKeysError::Empty),
            len if len > AUTHKEYS_MAX => Err(AuthKeysError::TooMany),
            _ if keys.iter().enumerate().any(|(at, key)| keys[..at].iter().any(|other| same(key, other))) => {
                Err(AuthKeysError::Duplicate)
            }
            _ => Ok(AuthKeys(keys)),
        }
    }

    /// The key to prove with.
    pub fn first(&self) -> &AuthKey {
        self.0.first().expect("a set of keys has one at least: new checks that")
    }

    /// All of them, in their order.
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
