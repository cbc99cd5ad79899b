//! Why a file of peers is not accepted. The errors never contain a secret.

use std::{io, path::PathBuf};

use callboard::{
    AuthKeyError, SecretFileError,
    core::{
        auth::{PeerError, RuleError},
        zmtp::curve::KeyError,
    },
};

/// Why a file of peers cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeersFileError {
    /// The file cannot be read, or other users can.
    #[error(transparent)]
    Unreadable(#[from] SecretFileError),
    /// The file cannot be replaced.
    #[error("cannot write the peers file {}: {error}", path.display())]
    Unwritable {
        /// The file's path.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The text is not TOML, or has an unknown key.
    #[error("invalid peers file {}: {message}", path.display())]
    Syntax {
        /// The file's path.
        path: PathBuf,
        /// The parser's message, with the line.
        message: String,
    },
    /// A peer is not valid.
    #[error("invalid peers file {} line {line}: {error}", path.display())]
    Entry {
        /// The file's path.
        path: PathBuf,
        /// The line where the peer's table begins, from 1.
        line: usize,
        /// What is wrong with the peer.
        error: EntryError,
    },
    /// The peers contradict each other.
    #[error("invalid peers file {}: {error}", path.display())]
    Peers {
        /// The file's path.
        path: PathBuf,
        /// What is wrong.
        error: PeerError,
    },
    /// A new peer has the name of another one.
    #[error(
        "the peers file {} has a peer {name}: choose another name, or add a key to it with `callboard keys add {name}`",
        path.display()
    )]
    NameInUse {
        /// The file's path.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// A peer that is to be removed is not in the file.
    #[error("the peers file {} has no peer {name}: `callboard keys list` shows all", path.display())]
    NoPeer {
        /// The file's path.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// A peer has no old keys that could be removed.
    #[error("the peer {name} in the peers file {} has no old keys: add a new one with `callboard keys add {name}`", path.display())]
    NoOldKeys {
        /// The file's path.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// The text of a peer cannot be found in the file.
    #[error(
        "cannot edit the peers file {}: write each peer as a [[peer]] table and each list on one line, or edit it by hand",
        path.display()
    )]
    NotEditable {
        /// The file's path.
        path: PathBuf,
    },
}

/// Why one peer of a file is not valid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EntryError {
    /// Its name is not valid.
    #[error(transparent)]
    Peer(PeerError),
    /// A rule is not valid.
    #[error("peer {name}: {error}")]
    Rule {
        /// The peer's name.
        name: String,
        /// What is wrong.
        error: RuleError,
    },
    /// The authkey is not valid.
    #[error("authkey of peer {name}: {error}")]
    Authkey {
        /// The peer's name.
        name: String,
        /// What is wrong.
        error: AuthKeyError,
    },
    /// The authkey is a line of a key file.
    #[error(
        "authkey of peer {0} is a line of a key file: write only the part after key=, and name and roles as keys of their own"
    )]
    AuthkeyLine(String),
    /// The public key is not valid.
    #[error("public_key of peer {name}: {error}")]
    PublicKey {
        /// The peer's name.
        name: String,
        /// What is wrong.
        error: KeyError,
    },
    /// The public key is an authkey.
    #[error(
        "public_key of peer {0} is an authkey: write it as authkey, or write the CURVE key of the peer's .public file"
    )]
    AuthkeyAsPublicKey(String),
    /// A role is unknown.
    #[error("peer {name}: unknown role {role:?}; the roles are client, worker and operator")]
    Role {
        /// The peer's name.
        name: String,
        /// The excerpt of the role.
        role: String,
    },
}
