//! Reading a file of peers, and replacing it.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use callboard::{
    core::{
        auth::{PeerDirectory, PeerEntry},
        wire::limits::PEERS_FILE_BYTES_MAX,
    },
    read_secret_file,
};
use zeroize::Zeroizing;

use super::{
    edit::{self, NewPeer},
    error::PeersFileError,
    key_edit::{self, NewKey},
    raw::RawFile,
};

/// The mode of a new file: only its owner may read and write it.
#[cfg(unix)]
const MODE: u32 = 0o600;

/// A file of peers.
pub(crate) struct PeersFile {
    path: PathBuf,
    text: Zeroizing<String>,
    peers: Vec<PeerEntry>,
}

impl PeersFile {
    /// Reads a file. Only its owner may have permission to read or write it.
    ///
    /// # Errors
    /// [`PeersFileError`] if the file cannot be read, or a peer is not valid.
    pub(crate) fn read(path: &Path) -> Result<PeersFile, PeersFileError> {
        PeersFile::parse(path, read_secret_file(path, PEERS_FILE_BYTES_MAX)?)
    }

    /// Reads a file, or returns one without peers if it does not exist.
    ///
    /// # Errors
    /// As for [`PeersFile::read`].
    pub(crate) fn read_or_new(path: &Path) -> Result<PeersFile, PeersFileError> {
        match fs::exists(path) {
            Ok(false) => PeersFile::parse(path, Zeroizing::new(String::new())),
            _ => PeersFile::read(path),
        }
    }

    fn parse(path: &Path, text: Zeroizing<String>) -> Result<PeersFile, PeersFileError> {
        let syntax = |error: toml::de::Error| {
            let line = error.span().map_or(1, |span| line_of(&text, span.start));
            PeersFileError::Syntax { path: path.to_owned(), message: format!("line {line}: {}", error.message()) }
        };
        let raw: RawFile = toml::from_str(&text).map_err(syntax)?;
        let mut peers = Vec::new();
        for table in &raw.peer {
            let line = line_of(&text, table.span().start);
            let entry = table.get_ref().entry();
            peers.push(entry.map_err(|error| PeersFileError::Entry { path: path.to_owned(), line, error })?);
        }
        Ok(PeersFile { path: path.to_owned(), text, peers })
    }

    /// Returns the peers in the order of the file.
    pub(crate) fn peers(&self) -> &[PeerEntry] {
        &self.peers
    }

    /// Returns the peers as a directory.
    ///
    /// # Errors
    /// [`PeersFileError::Peers`] if there are none or too many, or if they contradict each other.
    pub(crate) fn directory(&self) -> Result<PeerDirectory, PeersFileError> {
        let directory = PeerDirectory::new(self.peers.clone());
        directory.map_err(|error| PeersFileError::Peers { path: self.path.clone(), error })
    }

    /// Returns the file with one more peer. It is not written.
    ///
    /// # Errors
    /// [`PeersFileError`] if the peer is not valid, or has a name or a key of another one.
    pub(crate) fn with(&self, peer: &NewPeer) -> Result<PeersFile, PeersFileError> {
        if self.index_of(&peer.name).is_some() {
            return Err(PeersFileError::NameInUse { path: self.path.clone(), name: peer.name.clone() });
        }
        let new = PeersFile::parse(&self.path, edit::with_peer(&self.text, peer))?;
        new.directory()?;
        Ok(new)
    }

    /// Returns the file with one more key of a peer. It is not written.
    ///
    /// # Errors
    /// [`PeersFileError`] if there is no such peer, the key is not valid or not new, or the text of the peer cannot be found.
    pub(crate) fn with_key(&self, name: &str, key: &NewKey) -> Result<PeersFile, PeersFileError> {
        let at = self.existing(name)?;
        let new = self.edited(key_edit::with_key(&self.text, at, self.peers.len(), key))?;
        let keys = |peer: &PeerEntry| peer.authkeys().len() + peer.public_keys().len();
        let added = |(index, (old, new))| keys(new) == keys(old) + usize::from(index == at);
        if !self.peers.iter().zip(&new.peers).enumerate().all(added) {
            return Err(self.not_editable());
        }
        new.directory()?;
        Ok(new)
    }

    /// Returns the file with only the last authkey and the last public key of a peer. It is not written.
    ///
    /// # Errors
    /// [`PeersFileError`] if there is no such peer, it has no other keys, or its text cannot be found.
    pub(crate) fn without_old_keys(&self, name: &str) -> Result<PeersFile, PeersFileError> {
        let at = self.existing(name)?;
        let peer = &self.peers[at];
        if peer.authkeys().len().max(peer.public_keys().len()) < 2 {
            return Err(PeersFileError::NoOldKeys { path: self.path.clone(), name: name.to_owned() });
        }
        let new = self.edited(key_edit::without_old_keys(&self.text, at, self.peers.len()))?;
        let kept = |peer: &PeerEntry| (peer.authkeys().len().min(1), peer.public_keys().last().copied());
        let left = &new.peers[at];
        if kept(left) != kept(peer) || left.authkeys().len().max(left.public_keys().len()) > 1 {
            return Err(self.not_editable());
        }
        Ok(new)
    }

    /// Returns the file with the text of an edit, which kept all peers.
    fn edited(&self, text: Option<Zeroizing<String>>) -> Result<PeersFile, PeersFileError> {
        let new = PeersFile::parse(&self.path, text.ok_or_else(|| self.not_editable())?)?;
        if names(&new.peers) == names(&self.peers) { Ok(new) } else { Err(self.not_editable()) }
    }

    /// Returns the file without one peer. It is not written.
    ///
    /// # Errors
    /// [`PeersFileError`] if there is no such peer, or its text cannot be found.
    pub(crate) fn without(&self, name: &str) -> Result<PeersFile, PeersFileError> {
        let at = self.existing(name)?;
        let text = edit::without_peer(&self.text, at, self.peers.len()).ok_or_else(|| self.not_editable())?;
        let new = PeersFile::parse(&self.path, text)?;
        let mut expected = names(&self.peers);
        expected.remove(at);
        if names(&new.peers) == expected { Ok(new) } else { Err(self.not_editable()) }
    }

    fn not_editable(&self) -> PeersFileError {
        PeersFileError::NotEditable { path: self.path.clone() }
    }

    /// Returns the index of a peer that must be in the file.
    fn existing(&self, name: &str) -> Result<usize, PeersFileError> {
        let missing = || PeersFileError::NoPeer { path: self.path.clone(), name: name.to_owned() };
        self.index_of(name).ok_or_else(missing)
    }

    /// Returns the index of the peer with that name.
    fn index_of(&self, name: &str) -> Option<usize> {
        self.peers.iter().position(|peer| peer.name().is_some_and(|other| other == name))
    }

    /// Writes the file. A reader sees the old file or the new one, never a part.
    ///
    /// # Errors
    /// [`PeersFileError::Unwritable`], with the system's error.
    pub(crate) fn write(&self) -> Result<(), PeersFileError> {
        replace(&self.path, self.text.as_bytes())
            .map_err(|error| PeersFileError::Unwritable { path: self.path.clone(), error })
    }
}

fn names(peers: &[PeerEntry]) -> Vec<Option<&str>> {
    peers.iter().map(|peer| peer.name().map(AsRef::as_ref)).collect()
}

/// Writes a new file beside the old one, and renames it.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let written = create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let replaced = written.and_then(|()| fs::rename(&beside, path));
    if replaced.is_err() {
        // The error of the write is the one to report.
        let _ = fs::remove_file(&beside);
    }
    replaced
}

/// Creates a file that only its owner may read and write.
fn create(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, MODE);
    options.open(path)
}

/// Returns the number of the line of a byte, from 1.
fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}
