//! The identity of an authenticated peer.

use std::sync::Arc;

use bytestring::ByteString;

use super::{AuthKey, PeerDirectory, PeerEntry, Rights};

/// The identity of an authenticated peer. The broker keeps it for the peer's connection. A clone is cheap.
#[derive(Clone, Debug, Default)]
pub struct Principal(Option<Arc<Proved>>);

/// A peer, and the keys that its connection has proved.
#[derive(Debug)]
struct Proved {
    entry: Arc<PeerEntry>,
    public_key: Option<[u8; 32]>,
    authkey: Option<AuthKey>,
}

impl Principal {
    /// Returns the identity of every peer of a broker that requires no authentication.
    pub(crate) fn anonymous() -> Principal {
        Principal(None)
    }

    /// Returns the identity of a peer that has proved these keys of `entry`.
    pub(crate) fn new(entry: &Arc<PeerEntry>, public_key: Option<[u8; 32]>, authkey: Option<AuthKey>) -> Principal {
        Principal(Some(Arc::new(Proved { entry: Arc::clone(entry), public_key, authkey })))
    }

    /// Returns the peer's name. `None` if its key has no id, or the broker requires no authentication.
    pub fn name(&self) -> Option<&ByteString> {
        self.entry()?.name()
    }

    /// Returns whether the peer may operate the broker and its pools. Every peer may, if the broker requires no authentication.
    pub fn is_operator(&self) -> bool {
        self.entry().is_none_or(PeerEntry::is_operator)
    }

    /// Returns the rights that restrict the peer. `None` if its roles alone decide.
    pub fn rights(&self) -> Option<&Rights> {
        self.entry()?.rights()
    }

    /// Returns the entry of the peer, if the broker requires authentication.
    pub(crate) fn entry(&self) -> Option<&PeerEntry> {
        self.0.as_ref().map(|proved| &*proved.entry)
    }

    /// Returns the identity of the same connection in a new directory. `None` if the keys that it proved are no longer known.
    ///
    /// A peer that was accepted without authentication stays, and so does one whose key was removed from a key file.
    pub(crate) fn in_directory(&self, directory: &PeerDirectory) -> Option<Principal> {
        let Some(proved) = &self.0 else { return Some(self.clone()) };
        match directory.authenticated_by(proved.public_key.as_ref(), proved.authkey.as_ref()) {
            Some(entry) => Some(Principal::new(entry, proved.public_key, proved.authkey.clone())),
            None => proved.entry.is_rotating_key().then(|| self.clone()),
        }
    }
}
