//! One peer that a broker knows.

use bytestring::ByteString;

use super::{
    super::{AuthKey, Roles},
    PeerError, Rights,
};
use crate::wire::limits::NAME_BYTES_MAX;

/// A peer that a broker knows: what it proves, and what it may do.
///
/// A peer proves an authkey, or a public key on an encrypted connection, or both. While its keys are rotated it has several of a kind,
/// and proves any one of them. Without rights, its roles decide as they do for a key of a key file.
#[derive(Clone, Debug)]
pub struct PeerEntry {
    name: Option<ByteString>,
    authkeys: Vec<AuthKey>,
    public_keys: Vec<[u8; 32]>,
    roles: Roles,
    rights: Option<Rights>,
    /// Whether connections of the peer stay when the entry is removed.
    is_rotating_key: bool,
}

impl PeerEntry {
    /// Creates a peer without credentials. It has every role and no rights.
    ///
    /// # Errors
    /// [`PeerError::Name`] if the name is empty, is too long, or has characters other than letters, digits, `-`, `_` and `.`.
    pub fn new(name: &str) -> Result<PeerEntry, PeerError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_allowed) {
            return Err(PeerError::name(name));
        }
        Ok(PeerEntry {
            name: Some(name.into()),
            authkeys: Vec::new(),
            public_keys: Vec::new(),
            roles: Roles::ALL,
            rights: None,
            is_rotating_key: false,
        })
    }

    /// Creates the peer of a key of a key file. Its name is the key's id. When the key is removed, connections that proved it stay, so
    /// that keys are rotated without an interruption.
    pub(crate) fn of_key(key: AuthKey) -> PeerEntry {
        PeerEntry {
            name: key.id().map(ByteString::from),
            roles: key.roles(),
            authkeys: vec![key],
            public_keys: Vec::new(),
            rights: None,
            is_rotating_key: true,
        }
    }

    /// Returns the same peer with one more authkey. It must prove one of them. The key's own id and roles are not used.
    pub fn with_authkey(mut self, key: AuthKey) -> PeerEntry {
        self.authkeys.push(key);
        self
    }

    /// Returns the same peer with one more public key. It must prove one of them by encryption.
    pub fn with_public_key(mut self, public_key: [u8; 32]) -> PeerEntry {
        self.public_keys.push(public_key);
        self
    }

    /// Returns the same peer for these roles only.
    pub fn with_roles(self, roles: Roles) -> PeerEntry {
        PeerEntry { roles, ..self }
    }

    /// Returns the same peer with rights. It may then do nothing else.
    pub fn with_rights(self, rights: Rights) -> PeerEntry {
        PeerEntry { rights: Some(rights), ..self }
    }

    /// Returns the name. Only a key of a key file may have none.
    pub fn name(&self) -> Option<&ByteString> {
        self.name.as_ref()
    }

    /// Returns the authkeys in order. The peer must prove one of them, if there are any.
    pub fn authkeys(&self) -> &[AuthKey] {
        &self.authkeys
    }

    /// Returns the public keys in order. The peer must prove one of them, if there are any.
    pub fn public_keys(&self) -> &[[u8; 32]] {
        &self.public_keys
    }

    /// Returns the roles in which the peer may connect.
    pub fn roles(&self) -> Roles {
        self.roles
    }

    /// Returns the rights, if the peer has any rule.
    pub fn rights(&self) -> Option<&Rights> {
        self.rights.as_ref()
    }

    /// Returns whether the peer may operate the broker and its pools.
    pub fn is_operator(&self) -> bool {
        self.rights.as_ref().map_or_else(|| self.roles.is_operator(), Rights::may_operate)
    }

    /// Returns whether connections of the peer stay when the entry is removed.
    pub(crate) fn is_rotating_key(&self) -> bool {
        self.is_rotating_key
    }

    /// Returns whether these keys, which a connection has proved, are those that the peer must prove: one of each kind that it has, and
    /// none of a kind that it does not have. Not in constant time: only for keys that were proved.
    pub(crate) fn is_authenticated_by(&self, public_key: Option<&[u8; 32]>, authkey: Option<&AuthKey>) -> bool {
        let by_public_key = public_key.map_or(self.public_keys.is_empty(), |key| self.public_keys.contains(key));
        by_public_key && authkey.map_or(self.authkeys.is_empty(), |key| self.has_authkey(key))
    }

    /// Returns whether a key is one of the authkeys. Not in constant time.
    pub(super) fn has_authkey(&self, key: &AuthKey) -> bool {
        self.authkeys.iter().any(|own| own.has_same_secret(key))
    }

    /// Returns whether a key occurs twice.
    pub(super) fn has_duplicate_key(&self) -> bool {
        let mut authkeys = self.authkeys.iter().enumerate();
        let mut public_keys = self.public_keys.iter().enumerate();
        authkeys.any(|(at, key)| self.authkeys[..at].iter().any(|other| other.has_same_secret(key)))
            || public_keys.any(|(at, key)| self.public_keys[..at].contains(key))
    }

    /// Returns whether both entries have a name or a key in common.
    pub(super) fn conflicts_with(&self, other: &PeerEntry) -> bool {
        (self.name.is_some() && self.name == other.name)
            || self.public_keys.iter().any(|key| other.public_keys.contains(key))
            || self.authkeys.iter().any(|key| other.has_authkey(key))
    }
}
