//! The state of the driver's gate, for `callboard.gate`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The state of the gate: the result of `callboard.gate`. The driver reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateStatus {
    /// Open connections.
    pub connections: u64,
    /// Of these, those that are not authenticated yet.
    pub pending: u64,
    /// Bytes that the gate holds for peers: messages that the broker has not read, bytes that peers have not read, and incomplete
    /// messages.
    pub held_bytes: u64,
    /// Encrypted connections that use another key of the broker than its present one. At 0 the previous key may be removed.
    #[serde(default)]
    pub connections_of_previous_keys: u64,
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Failures to accept a connection, for example because the process is out of file descriptors.
    pub accept_failures: u64,
    /// Connections that finished the handshake of ZMTP.
    pub opened: u64,
    /// Connections that ended, by reason, including those that never finished the handshake.
    pub closed: BTreeMap<String, u64>,
    /// Messages received.
    pub messages_received: u64,
    /// ZMTP commands received after the handshakes.
    #[serde(default)]
    pub commands_received: u64,
    /// Pauses of connections: they were not read for a while, because they sent more than their allowance.
    #[serde(default)]
    pub pauses: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Messages sent.
    pub messages_sent: u64,
    /// Bytes written to connections.
    #[serde(default)]
    pub bytes_sent: u64,
    /// Messages dropped because their peers were gone.
    pub messages_dropped: u64,
    /// ZMTP PONGs dropped because their peers do not read.
    pub pongs_dropped: u64,
    /// The limits in force, by setting.
    pub limits: BTreeMap<String, u64>,
}
