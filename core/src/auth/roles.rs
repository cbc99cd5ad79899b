//! What a key lets its owner be.

use std::str::FromStr;

use super::AuthKeyError;
use crate::wire::handshake::Role;

/// The roles that a key is good for. An operator may do what a client may.
///
/// As text: `client,worker,operator`, or some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    client: bool,
    operator: bool,
    worker: bool,
}

impl Roles {
    /// All of them: what a key has that names none.
    pub const ALL: Roles = Roles { client: true, operator: true, worker: true };

    /// Whether its owner may join as that.
    pub fn permits(self, role: Role) -> bool {
        match role {
            Role::Client => self.client,
            Role::Worker => self.worker,
        }
    }

    /// Whether its owner may operate the broker and its pools.
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
