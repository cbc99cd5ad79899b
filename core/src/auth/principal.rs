//! The identity of an authenticated peer.

use super::AuthKey;

/// The identity of an authenticated peer. The broker keeps it for the peer's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The id of the peer's key. `None` if the key has no id, or the broker requires no key.
    pub key_id: Option<String>,
    /// Whether the peer may operate the broker and its pools: its key allows it, or the broker requires no key.
    pub operator: bool,
}

impl Principal {
    /// Returns the identity of every peer of a broker that requires no key.
    pub(crate) fn anonymous() -> Principal {
        Principal { key_id: None, operator: true }
    }

    /// Returns the identity of a peer that has proved that it knows `key`.
    pub(crate) fn of_key(key: &AuthKey) -> Principal {
        Principal { key_id: key.id().map(ToOwned::to_owned), operator: key.roles().is_operator() }
    }
}
