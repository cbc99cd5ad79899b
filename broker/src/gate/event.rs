//! The events that the gate reports to the driver.

use std::{fmt, net::SocketAddr, time::Instant};

use callboard_core::{
    wire::ids::ConnectionId,
    zmtp::{Message, Violation, curve::CurvePeer},
};

use super::{CloseReason, limits::pace};

/// An event of a connection.
#[derive(Debug)]
pub enum GateEvent {
    /// A DEALER has connected and completed its ZMTP handshake. Always the first event of a connection.
    Opened {
        /// The new connection.
        connection: ConnectionId,
        /// The listener that accepted it.
        endpoint: Endpoint,
        /// Its address, as the system reports it.
        address: PeerAddress,
        /// When it was accepted. Its handshake timeout starts then.
        accepted: Instant,
        /// Its public key and the binding of the connection, if it is encrypted.
        curve: Option<Box<CurvePeer>>,
    },
    /// A complete message.
    Frames {
        /// The connection.
        connection: ConnectionId,
        /// The message.
        message: Message,
    },
    /// Bytes were received, but no complete message (or a ZMTP command). They count as activity of the peer. Reported
    /// at most every 100 ms.
    Activity {
        /// The connection.
        connection: ConnectionId,
    },
    /// The peer violated ZMTP or a limit on what it may send. Nothing more is read from it. The driver may send a last
    /// message, and must call [`super::Gate::close`]. Otherwise the gate closes the connection after
    /// [`super::GateLimits::close_max`].
    ProtocolViolation {
        /// The connection.
        connection: ConnectionId,
        /// The violation. `Closed` reports it again.
        violation: Violation,
    },
    /// The connection is closed. Always the last event of a connection, and exactly one for each `Opened`.
    Closed {
        /// The connection.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
}

impl GateEvent {
    /// Returns an estimate of the envelopes of this event: its work for the driver.
    pub(super) fn envelopes(&self) -> usize {
        match self {
            GateEvent::Frames { message, .. } => pace::envelopes_of(message),
            _ => 1,
        }
    }

    /// Returns the bytes that this event holds in the queue.
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
    /// Over a Unix socket. The system guarantees both numbers.
    Ipc {
        /// Its user: always the broker's own once a connection is opened.
        uid: u32,
        /// Its process, if the system reports it.
        pid: Option<i32>,
    },
}

impl PeerAddress {
    /// Returns whether the peer runs on the broker's host: it has a loopback address, or a Unix socket.
    pub fn is_loopback(self) -> bool {
        match self {
            PeerAddress::Tcp(address) => address.ip().to_canonical().is_loopback(),
            PeerAddress::Ipc { .. } => true,
        }
    }
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
