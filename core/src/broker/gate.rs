//! What the driver's gate says of itself, for `callboard.gate`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The gate as `callboard.gate` tells it: the driver's figures, as it last gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateStatus {
    /// Connections that there are.
    pub connections: u64,
    /// Of these, such as were not let in yet.
    pub pending: u64,
    /// Bytes that peers make the gate hold: messages that the broker has not read, what peers have not read, and messages
    /// that have not come whole.
    pub held_bytes: u64,
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Times that accepting failed, as it does when the process is out of files.
    pub accept_failures: u64,
    /// Connections that came through ZMTP's handshake.
    pub opened: u64,
    /// Connections that ended, by the reason; those that were never opened, too.
    pub closed: BTreeMap<String, u64>,
    /// Messages from peers.
    pub messages_received: u64,
    /// Bytes from peers.
    pub bytes_received: u64,
    /// Messages for peers.
    pub messages_sent: u64,
    /// Messages for peers that were gone.
    pub messages_dropped: u64,
    /// ZMTP PONGs that were not sent because their peers do not read.
    pub pongs_dropped: u64,
    /// The limits that hold, by the names of their settings.
    pub limits: BTreeMap<String, u64>,
}
