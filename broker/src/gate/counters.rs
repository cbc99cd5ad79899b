//! The counters of a gate.

use std::collections::BTreeMap;

use super::CloseReason;

/// The counters of a gate since it was opened. They only increase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GateCounters {
    /// Connections accepted.
    pub accepted: u64,
    /// Failures to accept a connection, for example because the process is out of file descriptors.
    pub accept_failures: u64,
    /// Connections whose ZMTP handshake was completed.
    pub opened: u64,
    /// Connections that ended, by [`CloseReason::name`], including those that were never opened.
    pub closed: BTreeMap<&'static str, u64>,
    /// Messages from peers.
    pub messages_received: u64,
    /// ZMTP commands from peers after their handshakes.
    pub commands_received: u64,
    /// Pauses of connections: they were not read for a while, because they sent more than their allowance.
    pub pauses: u64,
    /// Bytes from peers, greetings and frame headers included.
    pub bytes_received: u64,
    /// Messages buffered for peers.
    pub messages_sent: u64,
    /// Bytes written to connections, greetings and frame headers included.
    pub bytes_sent: u64,
    /// Messages for connections that were closed or closing.
    pub messages_dropped: u64,
    /// PONGs that were not sent because the peer does not read.
    pub pongs_dropped: u64,
}

impl GateCounters {
    pub(super) fn count_closed(&mut self, reason: CloseReason) {
        *self.closed.entry(reason.name()).or_default() += 1;
    }
}
