//! A key, and its text form.

use std::{fmt, str::FromStr};

use zeroize::Zeroizing;

use super::{AuthKeyError, Roles};
use crate::wire::limits::{AUTHKEY_BYTES_MAX, AUTHKEY_BYTES_MIN, NAME_BYTES_MAX};

/// A secret that the broker and a peer share, with an optional id and the roles that it allows.
///
/// Its `Debug` output omits the secret, and its memory is wiped when it is dropped. Its text form is a line of a key file: the key
/// alone, or `id=NAME roles=client,worker,operator key=KEY`. There, `id` and `roles` are optional, and `key` comes last.
///
/// ```
/// use callboard_core::auth::AuthKey;
///
/// let key: AuthKey = "id=billing roles=client key=correct horse battery staple".parse()?;
/// assert_eq!(key.id(), Some("billing"));
/// # Ok::<(), callboard_core::auth::AuthKeyError>(())
/// ```
#[derive(Clone)]
pub struct AuthKey {
    secret: Zeroizing<Vec<u8>>,
    id: Option<String>,
    roles: Roles,
}

impl AuthKey {
    /// Creates a key of these bytes, unchanged, for every role.
    ///
    /// # Errors
    /// [`AuthKeyError::Length`] if there are too few or too many bytes.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<AuthKey, AuthKeyError> {
        let secret = secret.as_ref();
        if !(AUTHKEY_BYTES_MIN..=AUTHKEY_BYTES_MAX).contains(&secret.len()) {
            return Err(AuthKeyError::Length(secret.len()));
        }
        Ok(AuthKey { secret: Zeroizing::new(secret.to_vec()), id: None, roles: Roles::ALL })
    }

    /// Returns the same key with an id, which the broker's log shows.
    ///
    /// # Errors
    /// [`AuthKeyError::Id`] if the id is empty, is too long, or has characters other than letters, digits, `-`, `_` and `.`.
    pub fn with_id(self, id: &str) -> Result<AuthKey, AuthKeyError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if id.is_empty() || id.len() > NAME_BYTES_MAX || !id.bytes().all(is_allowed) {
            return Err(AuthKeyError::Id);
        }
        Ok(AuthKey { id: Some(id.to_owned()), ..self })
    }

    /// Returns the same key for these roles only. Only the broker checks them.
    pub fn with_roles(self, roles: Roles) -> AuthKey {
        AuthKey { roles, ..self }
    }

    /// Returns the id, if the key has one.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Returns the roles that the key allows.
    pub fn roles(&self) -> Roles {
        self.roles
    }

    /// Returns the line of a key file for this key, without id and roles. A peer can authenticate with it.
    ///
    /// `None` if the secret has no such line: it is not UTF-8, begins or ends with a space, or contains a line break or NUL.
    pub fn to_line(&self) -> Option<Zeroizing<String>> {
        let text = std::str::from_utf8(&self.secret).ok()?;
        let fits_a_line = text.trim() == text && !text.contains(['\n', '\r', '\0']);
        fits_a_line.then(|| Zeroizing::new(format!("key={text}")))
    }

    /// Returns whether both keys have the same secret. Not in constant time: only for keys of one owner, not for input from peers.
    pub(super) fn has_same_secret(&self, other: &AuthKey) -> bool {
        self.secret == other.secret
    }

    /// Returns the secret bytes.
    pub(super) fn secret(&self) -> &[u8] {
        &self.secret
    }
}

impl FromStr for AuthKey {
    type Err = AuthKeyError;

    fn from_str(line: &str) -> Result<AuthKey, AuthKeyError> {
        let mut rest = line.trim();
        if !["id=", "roles=", "key="].iter().any(|field| rest.starts_with(field)) {
            return AuthKey::new(rest);
        }
        let (mut id, mut roles) = (None, None);
        loop {
            if let Some(secret) = rest.strip_prefix("key=") {
                let key = AuthKey::new(secret.trim_start())?.with_roles(roles.unwrap_or(Roles::ALL));
                return match id {
                    Some(id) => key.with_id(id),
                    None => Ok(key),
                };
            }
            let (field, more) = rest.split_once(char::is_whitespace).ok_or(AuthKeyError::Fields)?;
            match field.split_once('=') {
                Some(("id", text)) if id.is_none() => id = Some(text),
                Some(("roles", text)) if roles.is_none() => roles = Some(text.parse()?),
                _ => return Err(AuthKeyError::Fields),
            }
            rest = more.trim_start();
        }
    }
}

impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthKey").field("id", &self.id).field("roles", &self.roles).finish_non_exhaustive()
    }
}
