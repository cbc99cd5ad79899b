//! Who a peer has proved to be.

use super::AuthKey;

/// Who a peer has proved to be, as the broker remembers it for the peer's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The id of its key; `None` if that has none, or none was asked for.
    pub key_id: Option<String>,
    /// Whether it may operate the broker and its pools: by its key's roles, or because no key is asked for at all.
    pub operator: bool,
}

impl Principal {
    /// Anybody, at a broker that asks for no key.
    pub(crate) fn anonymous() -> Principal {
        Principal { key_id: None, operator: true }
    }

    /// Who knows that key.
    pub(crate) fn of_key(key: &AuthKey) -> Principal {
        Principal { key_id: key.id().map(ToOwned::to_owned), operator: key.roles().is_operator() }
    }
}
