//! `callboard keys revoke`: removes a peer from a file.

use std::path::Path;

use clap::Args;

use super::error::unusable;
use crate::{
    command::output::{self, exit::Exit},
    peers_file::PeersFile,
};

/// Remove a peer from the file; a running broker ends its connections when it gets SIGHUP
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// Name of the peer
    name: String,
}

impl Revoke {
    pub(super) fn run(self, path: &Path) -> anyhow::Result<Exit> {
        let file = PeersFile::read(path).and_then(|file| file.without(&self.name)).map_err(unusable)?;
        file.write().map_err(|error| Exit::GaveUp.because(error))?;
        output::print(&format!("peer {} was removed; send SIGHUP to a running broker", self.name))?;
        if file.peers().is_empty() {
            output::warn("the file has no peers, and a broker does not accept such a file: add one first");
        }
        Ok(Exit::Success)
    }
}
