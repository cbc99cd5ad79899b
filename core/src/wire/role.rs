//! The role of a peer.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The role of a peer in its connection to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Makes calls.
    Client,
    /// Serves calls. A pool is a worker, too.
    Worker,
}

impl Role {
    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Client => "client",
            Role::Worker => "worker",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
