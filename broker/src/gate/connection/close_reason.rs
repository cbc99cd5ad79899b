//! Why a connection ended.

use std::{fmt, io, time::Duration};

use callboard_core::{text::HumanDuration, zmtp::Violation};

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed it.
    PeerLeft,
    /// The connection broke.
    Lost(io::ErrorKind),
    /// The driver closed it with [`Gate::close`](crate::gate::Gate::close).
    Requested,
    /// The ZMTP handshake was not completed in time. (After READY the driver does the rest of the handshake, and closes.)
    HandshakeTimeout {
        /// The limit.
        max: Duration,
    },
    /// The peer violated ZMTP, or a limit on what it may send.
    Violation(Violation),
    /// The peer does not read what is sent to it.
    Unsent {
        /// The bytes that waited for it.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Another connection displaced it before its handshake was complete: see
    /// [`GateLimits::handshakes_max`](crate::gate::GateLimits::handshakes_max).
    Displaced,
    /// Its address is at the limit of connections for one address.
    AddressFull {
        /// The limit.
        max: usize,
    },
    /// The gate held more bytes for all peers together than its limit, and this peer had the largest part.
    Held {
        /// The bytes that were held for this one: unsent, or of an incomplete message.
        bytes: usize,
        /// The limit for all.
        max: usize,
    },
    /// The peer of a Unix socket runs as another user.
    OtherUser {
        /// Its user id.
        uid: u32,
    },
    /// The connection's task panicked, which is a bug of the broker and not a fault of the peer.
    Internal,
}

impl CloseReason {
    /// Returns a short name for counters, the same for all values of a variant.
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

    /// Returns whether the connection was rejected before it was admitted.
    pub(in crate::gate) const fn is_refusal(self) -> bool {
        matches!(self, CloseReason::AddressFull { .. } | CloseReason::OtherUser { .. })
    }

    /// Returns whether the end is normal, so that it is logged only at debug level.
    pub(in crate::gate) const fn is_ordinary(self) -> bool {
        matches!(self, CloseReason::PeerLeft | CloseReason::Lost(_) | CloseReason::Requested)
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::PeerLeft => f.write_str("the peer closed it"),
            CloseReason::Lost(kind) => write!(f, "the connection broke: {kind}"),
            CloseReason::Requested => f.write_str("the broker closed it"),
            CloseReason::HandshakeTimeout { max } => {
                write!(f, "its handshake was not completed within {}", HumanDuration(*max))
            }
            CloseReason::Violation(violation) => violation.fmt(f),
            CloseReason::Unsent { bytes, max } => {
                write!(f, "it does not read: {bytes} bytes wait for it, more than {max} (unsent_bytes_max)")
            }
            CloseReason::Displaced => f.write_str("it was displaced before its handshake was complete; try again"),
            CloseReason::AddressFull { max } => {
                write!(f, "its address has {max} connections, the limit for one address (connections_per_address_max)")
            }
            CloseReason::Held { bytes, max } => {
                write!(
                    f,
                    "{bytes} bytes were held for it, most of all, when all peers together reached {max} (held_bytes_max)"
                )
            }
            CloseReason::OtherUser { uid } => write!(f, "it runs as user {uid}; ipc is for the broker's own user only"),
            CloseReason::Internal => f.write_str("its task in the broker panicked, which is a bug"),
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
