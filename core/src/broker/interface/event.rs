//! The events of the broker machine: its inputs other than messages.

use bytestring::ByteString;

use super::super::admin::GateStatus;
use crate::{
    auth::{Channel, Nonce, PeerDirectory},
    time::Time,
    wire::ids::ConnectionId,
    zmtp::Violation,
};

/// One of the broker's two listening endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// Clients connect here.
    Frontend,
    /// Workers and pools connect here.
    Backend,
}

/// The work that one message was, for the driver's limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageLoad {
    /// Its envelopes, readable or not.
    pub envelopes: usize,
    /// Those that no credit bounds: pings, and others that have no effect or are repeated. A peer needs few of them.
    pub uncredited: usize,
}

/// An input of the machine.
#[derive(Clone, Debug)]
pub enum Event {
    /// A connection was accepted and has finished the handshake of its transport.
    Opened {
        /// The connection's id.
        connection: ConnectionId,
        /// The endpoint that accepted it.
        endpoint: Endpoint,
        /// Random bytes for this connection only, from a cryptographic source.
        nonce: Nonce,
        /// The peer's address, for the log and the status.
        address: ByteString,
        /// The tenant of a peer without a named key: an address without its port, a network, a user.
        rate_limit_key: ByteString,
        /// The encrypted channel of the connection, if it has one.
        channel: Option<Channel>,
        /// When the handshake times out, that of the transport included.
        until: Time,
    },
    /// Bytes arrived that are not a complete message yet. They count as activity of the peer.
    Activity {
        /// The connection.
        connection: ConnectionId,
    },
    /// A peer violated the rules of its transport. Nothing more is read from it.
    ProtocolViolation {
        /// The connection.
        connection: ConnectionId,
        /// What the peer did.
        violation: Violation,
    },
    /// A connection was closed. Nothing more comes from it.
    Closed {
        /// The connection.
        connection: ConnectionId,
    },
    /// These peers replace the earlier ones. Connections of peers that are no longer known end, except if a key was removed from a
    /// key file. Changed rights apply from the next call on.
    Peers(PeerDirectory),
    /// The state of the driver's gate. The driver reports it a few times a second at most.
    Gate(Box<GateStatus>),
    /// The time of [`Broker::poll_timeout`](super::super::Broker::poll_timeout) has come.
    Timeout,
    /// The operator shuts the broker down: it rejects new calls and lets running ones finish.
    Shutdown {
        /// When the broker stops waiting for running calls.
        deadline: Time,
    },
}
