//! The state of the gate, as the broker reports it.

use callboard_core::broker::GateStatus;

use super::{Gate, GateCounters, GateLimits};

/// Returns the state of a gate.
pub(super) fn status(gate: &Gate) -> GateStatus {
    let GateCounters {
        accepted,
        accept_failures,
        opened,
        closed,
        messages_received,
        bytes_received,
        messages_sent,
        messages_dropped,
        pongs_dropped,
    } = gate.counters();
    GateStatus {
        connections: gate.connections() as u64,
        pending: gate.pending() as u64,
        held_bytes: gate.held_bytes() as u64,
        accepted,
        accept_failures,
        opened,
        closed: closed.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect(),
        messages_received,
        bytes_received,
        messages_sent,
        messages_dropped,
        pongs_dropped,
        limits: limits(gate.limits()),
    }
}

/// Returns the limits that an operator may set, by the names of their settings.
fn limits(limits: &GateLimits) -> std::collections::BTreeMap<String, u64> {
    let named = [
        ("connections_max", limits.connections_max),
        ("connections_per_address_max", limits.connections_per_address_max),
        ("handshakes_max", limits.handshakes_max),
        ("message_bytes_max", limits.message_bytes_max),
        ("unsent_bytes_max", limits.unsent_bytes_max),
        ("held_bytes_max", limits.held_bytes_max),
    ];
    named.into_iter().map(|(name, limit)| (name.to_owned(), limit as u64)).collect()
}
