//! What happened at the gate, in numbers.

use std::collections::BTreeMap;

use super::CloseReason;

/// Everything that a gate has seen since it was opened. Numbers only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GateCounters {
    /// Connections accepted.
    pub accepted: u64,
    /// Times that accepting failed, as it does when the process is out of files.
    pub accept_failures: u64,
    /// Connections whose ZMTP handshake was done.
    pub opened: u64,
    /// Connections that ended, by [`CloseReason::name`]; also those that were never opened.
    pub closed: BTreeMap<&'static str, u64>,
    /// Messages from peers.
    pub messages_received: u64,
    /// Bytes from peers, greetings and frame headers included.
    pub bytes_received: u64,
    /// Messages buffered for peers.
    pub messages_sent: u64,
    /// Messages for connections that were gone or going.
    pub messages_dropped: u64,
    /// PONGs that were not sent because their peers do not read.
    pub pongs_dropped: u64,
}

impl GateCounters {
    pub(super) fn count_closed(&mut self, reason: CloseReason) {
        *self.closed.entry(reason.name()).or_default() += 1;
    }
}
