//! The peers that a broker knows: those of its key file or variable, and those of its file of peers.

use std::path::Path;

use callboard::core::auth::PeerDirectory;

use super::{error::SettingError, resolved::BrokerSettings};
use crate::peers_file::PeersFile;

impl BrokerSettings {
    /// Returns whether the broker has a file of keys or peers, which it reads again at SIGHUP.
    pub(crate) fn has_key_file(&self) -> bool {
        self.authkey.file.is_some() || self.peers_file.is_some() || self.curve.secret_file.is_some()
    }

    /// Reads the peers that may connect; `None` if no source is set, and every peer may.
    ///
    /// # Errors
    /// A source is not usable, or the sources have a name or a key in common.
    pub(crate) fn peers(&self) -> Result<Option<PeerDirectory>, SettingError> {
        let keys = self.authkey.keys()?.map(PeerDirectory::from);
        let Some(file) = &self.peers_file else { return Ok(keys) };
        let place = || file.source.clone();
        let read = PeersFile::read(Path::new(&file.value)).and_then(|read| read.directory());
        let peers = read.map_err(|error| SettingError::PeersFile { place: place(), error })?;
        let merged = keys.as_ref().map_or(Ok(peers.clone()), |keys| keys.merged_with(&peers));
        merged.map(Some).map_err(|error| SettingError::Peers { place: place(), error })
    }
}
