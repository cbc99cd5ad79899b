//! One peer that a broker knows.

use bytestring::ByteString;

use super::{
    super::{AuthKey, Roles},
    PeerError, Rights,
};
use crate::wire::limits::NAME_BYTES_MAX;

/// A peer that a broker knows: what it proves, and what it may do.
///
/// A peer proves an authkey, or a public key on an encrypted connection, or both. Without rights, its roles decide as they do for a
/// key of a key file.
#[derive(Clone, Debug)]
pub struct PeerEntry {
    name: Option<ByteString>,
    authkey: Option<AuthKey>,
    public_key: Option<[u8; 32]>,
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
            authkey: None,
            public_key: None,
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
            authkey: Some(key),
            public_key: None,
            rights: None,
            is_rotating_key: true,
        }
    }

    /// Returns the same peer with an authkey that it must prove. The key's own id and roles are not used.
    pub fn with_authkey(self, key: AuthKey) -> PeerEntry {
        PeerEntry { authkey: Some(key), ..self }
    }

    /// Returns the same peer with a public key that it must prove by encryption.
    pub fn with_public_key(self, public_key: [u8; 32]) -> PeerEntry {
        PeerEntry { public_key: Some(public_key), ..self }
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

    /// Returns the authkey, if the peer must prove one.
    pub fn authkey(&self) -> Option<&AuthKey> {
        self.authkey.as_ref()
    }

    /// Returns the public key, if the peer must prove one.
    pub fn public_key(&self) -> Option<&[u8; 32]> {
        self.public_key.as_ref()
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

    /// Returns whether both entries require the same credentials. Not in constant time: only for entries of one owner.
    pub(crate) fn has_same_credentials(&self, other: &PeerEntry) -> bool {
        self.public_key == other.public_key && self.has_same_authkey(other)
    }

    fn has_same_authkey(&self, other: &PeerEntry) -> bool {
        match (&self.authkey, &other.authkey) {
            (Some(one), Some(other)) => one.has_same_secret(other),
            (None, None) => true,
            _ => false,
        }
    }

    /// Returns whether both entries have a name or a credential in common.
    pub(super) fn conflicts_with(&self, other: &PeerEntry) -> bool {
        (self.name.is_some() && self.name == other.name)
            || (self.public_key.is_some() && self.public_key == other.public_key)
            || (self.authkey.is_some() && self.has_same_authkey(other))
    }
}
