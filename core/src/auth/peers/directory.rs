//! All peers that a broker knows.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    super::{AuthKeys, Proof, Prover, Transcript},
    PeerEntry, PeerError,
};
use crate::wire::limits::{PEER_AUTHKEYS_MAX, PEERS_MAX};

/// The peers that a broker knows, at least one. A broker with a directory accepts no other peers.
#[derive(Clone, Debug)]
pub struct PeerDirectory {
    entries: Vec<Arc<PeerEntry>>,
    by_public_key: BTreeMap<[u8; 32], Arc<PeerEntry>>,
}

impl PeerDirectory {
    /// Creates a directory of these peers.
    ///
    /// # Errors
    /// [`PeerError`] if there are no peers or too many, if one has neither an authkey nor a public key, or if two have a name or a
    /// credential in common.
    pub fn new(entries: Vec<PeerEntry>) -> Result<PeerDirectory, PeerError> {
        check(&entries)?;
        let entries: Vec<_> = entries.into_iter().map(Arc::new).collect();
        let key_of = |entry: &Arc<PeerEntry>| entry.public_key().map(|key| (*key, Arc::clone(entry)));
        let by_public_key = entries.iter().filter_map(key_of).collect();
        Ok(PeerDirectory { entries, by_public_key })
    }

    /// Returns a directory of the peers of both.
    ///
    /// # Errors
    /// As for [`PeerDirectory::new`].
    pub fn merged_with(&self, other: &PeerDirectory) -> Result<PeerDirectory, PeerError> {
        PeerDirectory::new(self.iter().chain(other.iter()).cloned().collect())
    }

    /// Returns all peers in order.
    pub fn iter(&self) -> impl Iterator<Item = &PeerEntry> {
        self.entries.iter().map(AsRef::as_ref)
    }

    /// Returns the peer with that public key.
    pub(crate) fn with_public_key(&self, key: &[u8; 32]) -> Option<&Arc<PeerEntry>> {
        self.by_public_key.get(key)
    }

    /// Returns whether some peers need no encryption: they prove an authkey alone.
    pub(crate) fn has_plain_peers(&self) -> bool {
        self.iter().any(|entry| entry.public_key().is_none())
    }

    /// Returns the peer whose authkey made the proof. Tries all authkeys, in constant time for each.
    pub(crate) fn that_proved(&self, transcript: &Transcript, proof: &Proof) -> Option<&Arc<PeerEntry>> {
        let proved =
            |entry: &&Arc<PeerEntry>| entry.authkey().is_some_and(|key| transcript.verify(Prover::Peer, key, proof));
        self.entries.iter().find(proved)
    }

    /// Returns the entry with the credentials of an entry of an earlier directory.
    pub(crate) fn successor_of(&self, entry: &PeerEntry) -> Option<&Arc<PeerEntry>> {
        self.entries.iter().find(|other| other.has_same_credentials(entry))
    }
}

impl From<AuthKeys> for PeerDirectory {
    /// Creates the directory of a key file: each key is a peer without rights. The keys are already checked.
    fn from(keys: AuthKeys) -> PeerDirectory {
        let entries = keys.iter().cloned().map(PeerEntry::of_key).map(Arc::new).collect();
        PeerDirectory { entries, by_public_key: BTreeMap::new() }
    }
}

fn check(entries: &[PeerEntry]) -> Result<(), PeerError> {
    let authkeys = entries.iter().filter(|entry| entry.authkey().is_some()).count();
    if entries.is_empty() {
        return Err(PeerError::Empty);
    }
    if entries.len() > PEERS_MAX || authkeys > PEER_AUTHKEYS_MAX {
        return Err(PeerError::TooMany);
    }
    for (at, entry) in entries.iter().enumerate() {
        let name = entry.name().cloned().unwrap_or_default();
        if entry.authkey().is_none() && entry.public_key().is_none() {
            return Err(PeerError::NoCredential(name.to_string()));
        }
        if let Some(other) = entries[..at].iter().find(|other| other.conflicts_with(entry)) {
            let other = other.name().cloned().unwrap_or_default();
            return Err(PeerError::Duplicate(name.to_string(), other.to_string()));
        }
    }
    Ok(())
}
