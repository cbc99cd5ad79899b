//! `callboard keys revoke`: removes a peer, or its old keys, from a file.

use std::path::Path;

use clap::Args;

use super::error::unusable;
use crate::{
    command::output::{self, exit::Exit},
    peers_file::PeersFile,
};

/// Remove a peer from the file, or with --old only its old keys; a running broker ends its connections when it gets SIGHUP
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// Name of the peer
    name: String,
    /// Remove all keys of the peer except the one of each kind that was added last
    #[arg(long)]
    old: bool,
}

impl Revoke {
    pub(super) fn run(self, path: &Path) -> anyhow::Result<Exit> {
        let file = PeersFile::read(path).map_err(unusable)?;
        if self.old {
            return self.revoke_old_keys(&file);
        }
        let file = file.without(&self.name).map_err(unusable)?;
        file.write().map_err(|error| Exit::GaveUp.because(error))?;
        output::print(&format!("peer {} was removed; send SIGHUP to a running broker", self.name))?;
        if file.peers().is_empty() {
            output::warn("the file has no peers, and a broker does not accept such a file: add one first");
        }
        Ok(Exit::Success)
    }

    fn revoke_old_keys(&self, file: &PeersFile) -> anyhow::Result<Exit> {
        let file = file.without_old_keys(&self.name).map_err(unusable)?;
        file.write().map_err(|error| Exit::GaveUp.because(error))?;
        output::print(&format!("old keys of peer {} were removed; send SIGHUP to a running broker", self.name))?;
        Ok(Exit::Success)
    }
}
