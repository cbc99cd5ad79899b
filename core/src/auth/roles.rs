//! The roles that a key allows.

use std::str::FromStr;

use super::AuthKeyError;
use crate::wire::handshake::Role;

/// The roles that a key allows. An operator may do everything that a client may.
///
/// The text form is a list such as `client,worker,operator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    client: bool,
    operator: bool,
    worker: bool,
}

impl Roles {
    /// All roles: the default of a key.
    pub const ALL: Roles = Roles { client: true, operator: true, worker: true };

    /// Returns whether a peer with this key may connect in `role`.
    pub fn permits(self, role: Role) -> bool {
        match role {
            Role::Client => self.client,
            Role::Worker => self.worker,
        }
    }

    /// Returns whether a peer with this key may operate the broker and its pools.
    pub fn is_operator(self) -> bool {
        self.operator
    }
}

impl FromStr for Roles {
    type Err = AuthKeyError;

    fn from_str(text: &str) -> Result<Roles, AuthKeyError> {
        let mut roles = Roles { client: false, operator: false, worker: false };
        for name in text.split(',') {
            match name {
                "client" => roles.client = true,
                "operator" => (roles.client, roles.operator) = (true, true),
                "worker" => roles.worker = true,
                _ => return Err(AuthKeyError::Roles),
            }
        }
        Ok(roles)
    }
}
