//! `callboard keys add`: adds a key to a peer of a file.

use std::path::Path;

use clap::Args;

use super::{
    error::unusable,
    key_flags::{KeyFlags, new_authkey},
};
use crate::{
    command::output::{self, exit::Exit},
    peers_file::{NewKey, PeersFile},
};

/// Add a key to a peer, which may then prove the new or the old one: a new authkey, which is printed once, or a public key
#[derive(Debug, Args)]
pub(super) struct Add {
    /// Name of the peer
    name: String,
    #[command(flatten)]
    key: KeyFlags,
}

impl Add {
    pub(super) fn run(self, path: &Path) -> anyhow::Result<Exit> {
        let key = self.key.public_key()?.map_or_else(|| NewKey::Authkey(new_authkey()), NewKey::Public);
        let file = PeersFile::read(path).and_then(|file| file.with_key(&self.name, &key)).map_err(unusable)?;
        file.write().map_err(|error| Exit::GaveUp.because(error))?;
        let added = format!("a key of peer {} was added; send SIGHUP to a running broker", self.name);
        match &key {
            NewKey::Authkey(authkey) => {
                output::print(authkey)?;
                output::note(&added);
            }
            NewKey::Public(_) => output::print(&added)?,
        }
        Ok(Exit::Success)
    }
}
