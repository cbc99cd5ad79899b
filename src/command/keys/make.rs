//! `callboard keys make`: adds a peer to a file.

use std::path::Path;

use clap::Args;

use super::{
    error::unusable,
    key_flags::{KeyFlags, new_authkey},
};
use crate::{
    command::output::{self, exit::Exit},
    peers_file::{NewPeer, PeersFile},
};

/// The call rule that a pool needs: it asks the broker for the load of its workers.
const POOL_CALL_RULE: &str = "callboard.load";
/// The prefix of the service of a pool.
const POOL_SERVICE_PREFIX: &str = "callboard.pool.";

/// Add a peer to the file: with a new authkey, which is printed once, or with a public key
#[derive(Debug, Args)]
pub(super) struct Make {
    /// Name of the peer
    name: String,
    #[command(flatten)]
    key: KeyFlags,
    /// Make an authkey, too, if a public key is given: the peer must prove both
    #[arg(long)]
    authkey: bool,
    /// A role of the peer: client, worker or operator [default: all]
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Methods that the peer may call, such as users.get or users.*
    #[arg(long, value_name = "RULE")]
    call: Vec<String>,
    /// Services that the peer may serve, such as users or billing.*
    #[arg(long, value_name = "RULE")]
    serve: Vec<String>,
    /// Pool that the peer may run: adds the serve rule callboard.pool.NAME and the call rule callboard.load
    #[arg(long, value_name = "NAME")]
    pool: Vec<String>,
    /// Let the peer operate the broker and its pools
    #[arg(long)]
    operate: bool,
}

impl Make {
    pub(super) fn run(mut self, path: &Path) -> anyhow::Result<Exit> {
        self.add_rules_of_pools();
        let public_key = self.key.public_key()?;
        let authkey = (self.authkey || public_key.is_none()).then(new_authkey);
        let peer = NewPeer {
            name: self.name,
            authkey,
            public_key,
            roles: self.roles,
            call: self.call,
            serve: self.serve,
            operate: self.operate,
        };
        let file = PeersFile::read_or_new(path).and_then(|file| file.with(&peer)).map_err(unusable)?;
        file.write().map_err(|error| Exit::GaveUp.because(error))?;
        let added = format!("peer {} was added; send SIGHUP to a running broker", peer.name);
        match &peer.authkey {
            Some(authkey) => {
                output::print(authkey)?;
                output::note(&added);
            }
            None => output::print(&added)?,
        }
        Ok(Exit::Success)
    }

    /// Adds the rules that the pools of the peer need.
    fn add_rules_of_pools(&mut self) {
        self.serve.extend(self.pool.iter().map(|pool| format!("{POOL_SERVICE_PREFIX}{pool}")));
        if !self.pool.is_empty() {
            self.call.push(POOL_CALL_RULE.to_owned());
        }
    }
}
