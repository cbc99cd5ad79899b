//! Why a connection ended.

use std::{fmt, io, time::Duration};

use callboard_core::zmtp::Violation;

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed it.
    PeerLeft,
    /// The connection broke.
    Lost(io::ErrorKind),
    /// The driver asked for it with [`super::Gate::close`].
    Requested,
    /// Not through the handshake in time. (Once READY was said, the driver does the rest of the handshake, and closes.)
    HandshakeTimeout {
        /// The limit.
        max: Duration,
    },
    /// It broke ZMTP, or a limit on what it may send.
    Violation(Violation),
    /// It does not read what is sent to it.
    Unsent {
        /// What was waiting for it.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Its handshake was not done when others wanted its place: see [`super::GateLimits::handshakes_max`].
    Displaced,
    /// Its address has as many connections as one may have.
    AddressFull {
        /// The limit.
        max: usize,
    },
    /// All peers together made the gate hold too much, and this one most of it.
    Held {
        /// What was held for this one: unsent, or of a message that had not come whole.
        bytes: usize,
        /// The limit for all.
        max: usize,
    },
    /// A Unix socket's peer runs as another user.
    OtherUser {
        /// Which.
        uid: u32,
    },
    /// The task of the connection died: a bug here, not a fault of the peer.
    Internal,
}

impl CloseReason {
    /// A short name, the same for all values of a variant: for counters.
    pub const fn name(self) -> &'static str {
        match self {
            CloseReason::PeerLeft => "peer-left",
            CloseReason::Lost(_) => "lost",
            CloseReason::Requested => "requested",
            CloseReason::HandshakeTimeout { .. } => "handshake-timeout",
            CloseReason::Violation(violation) => violation.name(),
            CloseReason::Unsent { .. } => "unsent",
            CloseReason::Displaced => "displaced",
            CloseReason::AddressFull { .. } => "address-full",
            CloseReason::Held { .. } => "held",
            CloseReason::OtherUser { .. } => "other-user",
            CloseReason::Internal => "internal",
        }
    }

    /// Whether the connection was refused before it had a place.
    pub(in crate::gate) const fn is_refusal(self) -> bool {
        matches!(self, CloseReason::AddressFull { .. } | CloseReason::OtherUser { .. })
    }

    /// Whether the end is nothing to tell an operator about.
    pub(in crate::gate) const fn is_ordinary(self) -> bool {
        matches!(self, CloseReason::PeerLeft | CloseReason::Lost(_) | CloseReason::Requested)
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::PeerLeft => f.write_str("it left"),
            CloseReason::Lost(kind) => write!(f, "the connection broke: {kind}"),
            CloseReason::Requested => f.write_str("the broker closed it"),
            CloseReason::HandshakeTimeout { max } => write!(f, "its handshake was not done within {max:?}"),
            CloseReason::Violation(violation) => violation.fmt(f),
            CloseReason::Unsent { bytes, max } => {
                write!(f, "it does not read: {bytes} bytes wait for it, {max} are possible (unsent_bytes_max)")
            }
            CloseReason::Displaced => f.write_str("its handshake was not done when others needed its place; try again"),
            CloseReason::AddressFull { max } => {
                write!(f, "its address has {max} connections, as many as one may have (connections_per_address_max)")
            }
            CloseReason::Held { bytes, max } => {
                write!(
                    f,
                    "{bytes} bytes were held for it, most of all, when all peers together reached {max} (held_bytes_max)"
                )
            }
            CloseReason::OtherUser { uid } => write!(f, "it runs as user {uid}; ipc is for the broker's own user only"),
            CloseReason::Internal => f.write_str("its task in the broker died, which is a bug"),
        }
    }
}

impl From<io::Error> for CloseReason {
    fn from(error: io::Error) -> Self {
        CloseReason::Lost(error.kind())
    }
}

impl From<Violation> for CloseReason {
    fn from(violation: Violation) -> Self {
        CloseReason::Violation(violation)
    }
}
