//! The flags with which a command gets the public key of a peer, and new authkeys.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use callboard::core::zmtp::curve::{PublicKey, public_key_from_file};
use clap::Args;
use zeroize::Zeroizing;

use crate::command::output::exit::Exit;

/// Random bytes of a new authkey.
const AUTHKEY_BYTES: usize = 32;

/// The public key of a peer, or the file with it.
#[derive(Debug, Args)]
pub(super) struct KeyFlags {
    /// CURVE public key of the peer, instead of an authkey
    #[arg(long, value_name = "KEY", conflicts_with = "public_key_file", allow_hyphen_values = true)]
    public_key: Option<String>,
    /// File of the peer's CURVE public key, instead of an authkey
    #[arg(long, value_name = "FILE")]
    public_key_file: Option<PathBuf>,
}

impl KeyFlags {
    /// Returns the public key that was given, as text.
    pub(super) fn public_key(&self) -> anyhow::Result<Option<String>> {
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
pub(super) fn new_authkey() -> Zeroizing<String> {
    let bytes = Zeroizing::new(rand::random::<[u8; AUTHKEY_BYTES]>());
    Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(bytes.as_slice()))
}
