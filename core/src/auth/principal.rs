//! The identity of an authenticated peer.

use std::sync::Arc;

use bytestring::ByteString;

use super::{PeerDirectory, PeerEntry, Rights};

/// The identity of an authenticated peer. The broker keeps it for the peer's connection. A clone is cheap.
#[derive(Clone, Debug, Default)]
pub struct Principal(Option<Arc<PeerEntry>>);

impl Principal {
    /// Returns the identity of every peer of a broker that requires no authentication.
    pub(crate) fn anonymous() -> Principal {
        Principal(None)
    }

    /// Returns the identity of a peer that has proved the credentials of `entry`.
    pub(crate) fn of(entry: &Arc<PeerEntry>) -> Principal {
        Principal(Some(Arc::clone(entry)))
    }

    /// Returns the peer's name. `None` if its key has no id, or the broker requires no authentication.
    pub fn name(&self) -> Option<&ByteString> {
        self.0.as_ref()?.name()
    }

    /// Returns whether the peer may operate the broker and its pools. Every peer may, if the broker requires no authentication.
    pub fn is_operator(&self) -> bool {
        self.0.as_ref().is_none_or(|entry| entry.is_operator())
    }

    /// Returns the rights that restrict the peer. `None` if its roles alone decide.
    pub fn rights(&self) -> Option<&Rights> {
        self.0.as_ref()?.rights()
    }

    /// Returns the entry of the peer, if the broker requires authentication.
    pub(crate) fn entry(&self) -> Option<&PeerEntry> {
        self.0.as_deref()
    }

    /// Returns the identity of the same peer in a new directory. `None` if the peer is no longer known.
    ///
    /// A peer that was accepted without authentication stays, and so does one whose key was removed from a key file.
    pub(crate) fn in_directory(&self, directory: &PeerDirectory) -> Option<Principal> {
        let Some(entry) = &self.0 else { return Some(self.clone()) };
        match directory.successor_of(entry) {
            Some(successor) => Some(Principal::of(successor)),
            None => entry.is_rotating_key().then(|| self.clone()),
        }
    }
}
