//! Why a peer or a rule is not accepted. The errors never contain a key.

use crate::wire::limits::{NAME_BYTES_MAX, PEER_AUTHKEYS_MAX, PEER_KEYS_MAX, PEER_RULES_MAX, PEERS_MAX};

/// The longest excerpt of an invalid text in an error, in characters.
const EXCERPT_CHARS_MAX: usize = 80;

/// Why a rule is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// A call rule is not a pattern of methods.
    #[error("invalid call rule {0:?}: write a method such as users.get, users.* for all methods of users, or *")]
    Call(String),
    /// A serve rule is not a pattern of services.
    #[error("invalid serve rule {0:?}: write a service such as users, billing.* for all services below billing, or *")]
    Serve(String),
    /// There are too many rules.
    #[error("more than {PEER_RULES_MAX} rules: write patterns such as users.*")]
    TooMany,
}

/// Why a peer, or a directory of peers, is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The name has characters that are not allowed in a log, or is too long.
    #[error("invalid name {0:?}: a peer's name must consist of at most {NAME_BYTES_MAX} letters, digits, -, _ and .")]
    Name(String),
    /// The peer has nothing to prove.
    #[error("the peer {0} has neither an authkey nor a public_key: add one of them")]
    NoCredential(String),
    /// The peer has too many keys.
    #[error("the peer {0} has more than {PEER_KEYS_MAX} authkeys or public_keys: remove the old ones")]
    TooManyKeys(String),
    /// The peer has a key twice.
    #[error("the peer {0} has the same key twice: remove one of them")]
    KeyTwice(String),
    /// Two peers are equal.
    #[error("the peers {0} and {1} have the same name, authkey or public_key: each peer needs its own")]
    Duplicate(String, String),
    /// There are no peers.
    #[error("there are no peers: add one with a name and an authkey or a public_key")]
    Empty,
    /// There are too many peers.
    #[error(
        "there are more than {PEERS_MAX} peers, or they have more than {PEER_AUTHKEYS_MAX} authkeys: use public keys"
    )]
    TooMany,
}

impl RuleError {
    pub(super) fn call(text: &str) -> RuleError {
        RuleError::Call(excerpt(text))
    }

    pub(super) fn serve(text: &str) -> RuleError {
        RuleError::Serve(excerpt(text))
    }
}

impl PeerError {
    pub(super) fn name(text: &str) -> PeerError {
        PeerError::Name(excerpt(text))
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT_CHARS_MAX).collect()
}
