//! All peers that a broker knows.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    super::{AuthKey, AuthKeys, Proof, Prover, Transcript},
    PeerEntry, PeerError,
};
use crate::wire::limits::{PEER_AUTHKEYS_MAX, PEER_KEYS_MAX, PEERS_MAX};

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
    /// [`PeerError`] if there are no peers or too many, if one has no key or too many, or if two have a name or a key in common.
    pub fn new(entries: Vec<PeerEntry>) -> Result<PeerDirectory, PeerError> {
        check(&entries)?;
        let entries: Vec<_> = entries.into_iter().map(Arc::new).collect();
        let keys =
            entries.iter().flat_map(|entry| entry.public_keys().iter().map(move |key| (*key, Arc::clone(entry))));
        let by_public_key = keys.collect();
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
        self.iter().any(|entry| entry.public_keys().is_empty())
    }

    /// Returns the peer whose authkey made the proof, and that key. Tries all authkeys, in constant time for each.
    pub(crate) fn that_proved(&self, transcript: &Transcript, proof: &Proof) -> Option<(&Arc<PeerEntry>, &AuthKey)> {
        let mut keys = self.entries.iter().flat_map(|entry| entry.authkeys().iter().map(move |key| (entry, key)));
        keys.find(|(_, key)| transcript.verify(Prover::Peer, key, proof))
    }

    /// Returns the peer that a connection with these proved keys belongs to.
    pub(crate) fn authenticated_by(
        &self,
        public_key: Option<&[u8; 32]>,
        authkey: Option<&AuthKey>,
    ) -> Option<&Arc<PeerEntry>> {
        let has_authkey = |entry: &&Arc<PeerEntry>| authkey.is_some_and(|key| entry.has_authkey(key));
        let entry =
            public_key.map_or_else(|| self.entries.iter().find(has_authkey), |key| self.with_public_key(key))?;
        entry.is_authenticated_by(public_key, authkey).then_some(entry)
    }

    /// Returns whether a peer has this name.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.iter().any(|entry| entry.name().is_some_and(|own| own == name))
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
    let authkeys: usize = entries.iter().map(|entry| entry.authkeys().len()).sum();
    if entries.is_empty() {
        return Err(PeerError::Empty);
    }
    if entries.len() > PEERS_MAX || authkeys > PEER_AUTHKEYS_MAX {
        return Err(PeerError::TooMany);
    }
    for (at, entry) in entries.iter().enumerate() {
        let name = entry.name().cloned().unwrap_or_default();
        check_keys(entry, &name)?;
        if let Some(other) = entries[..at].iter().find(|other| other.conflicts_with(entry)) {
            let other = other.name().cloned().unwrap_or_default();
            return Err(PeerError::Duplicate(name.to_string(), other.to_string()));
        }
    }
    Ok(())
}

fn check_keys(entry: &PeerEntry, name: &str) -> Result<(), PeerError> {
    let (authkeys, public_keys) = (entry.authkeys().len(), entry.public_keys().len());
    if authkeys + public_keys == 0 {
        return Err(PeerError::NoCredential(name.to_owned()));
    }
    if authkeys.max(public_keys) > PEER_KEYS_MAX {
        return Err(PeerError::TooManyKeys(name.to_owned()));
    }
    if entry.has_duplicate_key() { Err(PeerError::KeyTwice(name.to_owned())) } else { Ok(()) }
}
