//! What the gate tells the driver.

use std::{fmt, net::SocketAddr, time::Instant};

use callboard_core::{
    wire::ids::ConnectionId,
    zmtp::{Message, Violation},
};

use super::CloseReason;

/// Something that happened on a connection.
#[derive(Debug)]
pub enum GateEvent {
    /// A DEALER has connected and its ZMTP handshake is done. Always a connection's first event.
    Opened {
        /// The new connection.
        connection: ConnectionId,
        /// Where it came in.
        endpoint: Endpoint,
        /// Who it is, as far as the system knows.
        address: PeerAddress,
        /// When it was accepted: the time for its handshake counts from there.
        accepted: Instant,
    },
    /// A whole message.
    Frames {
        /// From whom.
        connection: ConnectionId,
        /// The message.
        message: Message,
    },
    /// Bytes came, but no whole message yet (or a ZMTP command): the peer lives. At most every 100 ms.
    Activity {
        /// Who.
        connection: ConnectionId,
    },
    /// The peer broke ZMTP or a limit on what it may send. Nothing more is read from it: the driver may send it a last word
    /// and shall [`super::Gate::close`] it, else the gate does after [`super::GateLimits::close_max`].
    ProtocolViolation {
        /// Who.
        connection: ConnectionId,
        /// What it did. `Closed` will say it again.
        violation: Violation,
    },
    /// The connection is gone. Always a connection's last event, and exactly one for each `Opened`.
    Closed {
        /// The connection that was.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
}

impl GateEvent {
    /// The bytes that this event holds in the queue.
    pub(super) fn bytes(&self) -> usize {
        match self {
            GateEvent::Frames { message, .. } => message.bytes(),
            GateEvent::Opened { .. }
            | GateEvent::Activity { .. }
            | GateEvent::ProtocolViolation { .. }
            | GateEvent::Closed { .. } => 0,
        }
    }
}

/// The two addresses of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// For clients.
    Frontend,
    /// For workers and pools.
    Backend,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Endpoint::Frontend => "frontend",
            Endpoint::Backend => "backend",
        })
    }
}

/// Where a peer connects from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerAddress {
    /// Over TCP.
    Tcp(SocketAddr),
    /// Over a Unix socket. The system vouches for both numbers.
    Ipc {
        /// Its user: always the broker's own once a connection is opened.
        uid: u32,
        /// Its process, where the system tells.
        pid: Option<i32>,
    },
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerAddress::Tcp(address) => write!(f, "tcp://{address}"),
            PeerAddress::Ipc { pid: Some(pid), .. } => write!(f, "ipc process {pid}"),
            PeerAddress::Ipc { uid, pid: None } => write!(f, "ipc user {uid}"),
        }
    }
}
