//! One key, and how it is written.

use std::{fmt, str::FromStr};

use zeroize::Zeroizing;

use super::{AuthKeyError, Roles};
use crate::wire::limits::{AUTHKEY_BYTES_MAX, AUTHKEY_BYTES_MIN, NAME_BYTES_MAX};

/// A key that broker and peer share.
///
/// It is never shown, and its memory is wiped when it is dropped. As text it is a line of a key file: the key as it is, or
/// `id=NAME roles=client,worker,operator key=KEY`, in which `id` and `roles` may be left out and `key` comes last.
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
    /// The key that these bytes are, as they are, for every role.
    ///
    /// # Errors
    /// [`AuthKeyError::Length`] if they are too few or too many.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<AuthKey, AuthKeyError> {
        let secret = secret.as_ref();
        if !(AUTHKEY_BYTES_MIN..=AUTHKEY_BYTES_MAX).contains(&secret.len()) {
            return Err(AuthKeyError::Length(secret.len()));
        }
        Ok(AuthKey { secret: Zeroizing::new(secret.to_vec()), id: None, roles: Roles::ALL })
    }

    /// The same key with a name, by which the broker's log calls it.
    ///
    /// # Errors
    /// [`AuthKeyError::Id`] if that is no name for a log.
    pub fn with_id(self, id: &str) -> Result<AuthKey, AuthKeyError> {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if id.is_empty() || id.len() > NAME_BYTES_MAX || !id.bytes().all(fine) {
            return Err(AuthKeyError::Id);
        }
        Ok(AuthKey { id: Some(id.to_owned()), ..self })
    }

    /// The same key for these roles alone. Only the broker asks for them.
    pub fn with_roles(self, roles: Roles) -> AuthKey {
        AuthKey { roles, ..self }
    }

    /// Its name, if it has one.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What it lets its owner be.
    pub fn roles(&self) -> Roles {
        self.roles
    }

    /// The key as a line that means it, without id and roles: for who proves with it. `None` if no line can: it is no text, or
    /// begins or ends with a space, or has a line's end in it.
    pub fn to_line(&self) -> Option<Zeroizing<String>> {
        let text = std::str::from_utf8(&self.secret).ok()?;
        let plain = text.trim() == text && !text.contains(['\n', '\r', '\0']);
        plain.then(|| Zeroizing::new(format!("key={text}")))
    }

    /// Whether it is the same secret, of the same owner's: not for what others send.
    pub(super) fn has_same_secret(&self, other: &AuthKey) -> bool {
        self.secret == other.secret
    }

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
