//! The state of the gate, as the broker reports it.

use callboard_core::broker::GateStatus;

use super::{GateCounters, GateLimits, shared::Shared};

/// Returns the state of the gate with these connections and counters.
pub(super) fn status(shared: &Shared) -> GateStatus {
    let GateCounters {
        accepted,
        accept_failures,
        opened,
        closed,
        messages_received,
        commands_received,
        pauses,
        bytes_received,
        messages_sent,
        bytes_sent,
        messages_dropped,
        pongs_dropped,
    } = shared.counters();
    GateStatus {
        connections: shared.connections() as u64,
        pending: shared.admission.pending() as u64,
        held_bytes: shared.held_bytes() as u64,
        connections_of_previous_keys: shared.connections_of_previous_keys() as u64,
        accepted,
        accept_failures,
        opened,
        closed: closed.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect(),
        messages_received,
        commands_received,
        pauses,
        bytes_received,
        messages_sent,
        bytes_sent,
        messages_dropped,
        pongs_dropped,
        limits: limits(&shared.limits),
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
