//! `callboard keys make`: adds a peer to a file.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use callboard::core::zmtp::curve::{PublicKey, public_key_from_file};
use clap::Args;
use zeroize::Zeroizing;

use super::error::unusable;
use crate::{
    command::output::{self, exit::Exit},
    peers_file::{NewPeer, PeersFile},
};

/// The call rule that a pool needs: it asks the broker for the load of its workers.
const POOL_CALL_RULE: &str = "callboard.load";
/// The prefix of the service of a pool.
const POOL_SERVICE_PREFIX: &str = "callboard.pool.";
/// Random bytes of a new authkey.
const AUTHKEY_BYTES: usize = 32;

/// Add a peer to the file: with a new authkey, which is printed once, or with a public key
#[derive(Debug, Args)]
pub(super) struct Make {
    /// Name of the peer
    name: String,
    /// CURVE public key of the peer, instead of an authkey
    #[arg(long, value_name = "KEY", conflicts_with = "public_key_file", allow_hyphen_values = true)]
    public_key: Option<String>,
    /// File of the peer's CURVE public key, instead of an authkey
    #[arg(long, value_name = "FILE")]
    public_key_file: Option<PathBuf>,
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
        let public_key = self.public_key()?;
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

    /// Returns the public key that was given, as text.
    fn public_key(&self) -> anyhow::Result<Option<String>> {
        if let Some(text) = &self.public_key {
            let key: PublicKey = text.parse().map_err(|error| Exit::Usage.because(anyhow!("--public-key: {error}")))?;
            return Ok(Some(key.to_string()));
        }
        let Some(path) = &self.public_key_file else { return Ok(None) };
        let named = || format!("--public-key-file {}", path.display());
        let text = std::fs::read_to_string(path).with_context(named).map_err(|error| Exit::Usage.because(error))?;
        let key = public_key_from_file(&text).with_context(named).map_err(|error| Exit::Usage.because(error))?;
        Ok(Some(key.to_string()))
    }
}

/// Returns a new authkey in base64.
fn new_authkey() -> Zeroizing<String> {
    let bytes = Zeroizing::new(rand::random::<[u8; AUTHKEY_BYTES]>());
    Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(bytes.as_slice()))
}
