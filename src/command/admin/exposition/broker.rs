//! The metrics of the broker as a whole.

use std::fmt;

use callboard::core::broker::Metrics;

use super::families::Families;

/// A counter or a gauge without labels: its name, its description, and its value.
struct Single(&'static str, &'static str, fn(&Metrics) -> u64);

const COUNTERS: [Single; 27] = [
    Single("calls_received", "Calls that were accepted, one-way calls included.", |metrics| metrics.counters.calls),
    Single("casts_received", "One-way calls that were accepted.", |metrics| metrics.counters.casts),
    Single("casts_failed", "One-way calls that failed.", |metrics| metrics.counters.casts_failed),
    Single("calls_cancelled", "Calls that were cancelled, or whose client was gone.", |metrics| {
        metrics.counters.cancelled
    }),
    Single(
        "calls_rejected",
        "Calls that were rejected because a queue was full, or its oldest calls had waited too long.",
        |metrics| metrics.counters.queue_full,
    ),
    Single("dispatches", "Calls that were sent to workers, retries included.", |metrics| metrics.counters.dispatches),
    Single("retries", "Calls that were sent to another worker after the loss of theirs.", |metrics| {
        metrics.counters.repeated
    }),
    Single("dead_letters", "Calls that became dead letters.", |metrics| metrics.counters.buried),
    Single("workers_lost", "Workers that left without a goodbye, or were disconnected.", |metrics| {
        metrics.counters.workers_lost
    }),
    Single("requests_repeated", "Requests that arrived again, such as after a reconnect.", |metrics| {
        metrics.counters.duplicates
    }),
    Single("stale_messages", "Messages about calls that their sender does not make or run any more.", |metrics| {
        metrics.counters.stale
    }),
    Single("envelopes_rejected", "Envelopes that could not be read, or were unexpected.", |metrics| {
        metrics.counters.refused
    }),
    Single("stream_items", "Items of streams that were forwarded, in either direction.", |metrics| {
        metrics.counters.items
    }),
    Single("streams_broken", "Streams that ended because a peer violated their rules.", |metrics| {
        metrics.counters.streams_broken
    }),
    Single("peers_disconnected", "Peers that the broker disconnected.", |metrics| metrics.counters.sent_away),
    Single("authentication_failures", "Peers that could not be authenticated.", |metrics| {
        metrics.counters.unauthenticated
    }),
    Single("connections_accepted", "Connections that were accepted.", |metrics| metrics.gate.accepted),
    Single("connections_opened", "Connections that finished the handshake of ZMTP.", |metrics| metrics.gate.opened),
    Single("connection_accept_failures", "Failures to accept a connection.", |metrics| metrics.gate.accept_failures),
    Single(
        "connection_pauses",
        "Pauses in which a connection was not read, because it sent more than its allowance.",
        |metrics| metrics.gate.pauses,
    ),
    Single("received_bytes", "Bytes received from clients and workers.", |metrics| metrics.gate.bytes_received),
    Single("sent_bytes", "Bytes sent to clients and workers.", |metrics| metrics.gate.bytes_sent),
    Single("messages_received", "ZeroMQ messages received.", |metrics| metrics.gate.messages_received),
    Single("commands_received", "ZMTP commands received after the handshakes.", |metrics| {
        metrics.gate.commands_received
    }),
    Single("messages_sent", "ZeroMQ messages sent.", |metrics| metrics.gate.messages_sent),
    Single("messages_dropped", "ZeroMQ messages that were dropped because their peers were gone.", |metrics| {
        metrics.gate.messages_dropped
    }),
    Single("pongs_dropped", "ZMTP PONGs that were dropped because their peers do not read.", |metrics| {
        metrics.gate.pongs_dropped
    }),
];

const GAUGES: [Single; 27] = [
    Single("draining", "1 while the broker shuts down and accepts no calls.", |metrics| u64::from(metrics.draining)),
    Single("clients", "Clients that are connected, or may still reconnect.", |metrics| metrics.gauges.clients as u64),
    Single("clients_connected", "Clients that are connected.", |metrics| metrics.gauges.clients_connected as u64),
    Single(
        "client_credit_calls",
        "Calls that connected clients may send before they are granted more credit.",
        |metrics| metrics.gauges.client_credit_calls,
    ),
    Single(
        "client_credit_bytes",
        "Bytes that connected clients may send before they are granted more credit.",
        |metrics| metrics.gauges.client_credit_bytes,
    ),
    Single("workers", "Workers that are connected, those with which pools register their names included.", |metrics| {
        metrics.gauges.workers as u64
    }),
    Single("workers_draining", "Workers that take no more calls.", |metrics| metrics.gauges.workers_draining as u64),
    Single("workers_unresponsive", "Workers that did not stop a call past its hard limit.", |metrics| {
        metrics.gauges.workers_unresponsive as u64
    }),
    Single("calls_open", "Calls without an outcome, subcalls of broadcasts included.", |metrics| {
        metrics.gauges.calls_open as u64
    }),
    Single("calls_waiting", "Calls that wait for a worker or for their affinity key.", |metrics| {
        metrics.gauges.calls_waiting as u64
    }),
    Single("calls_running", "Calls that are at workers.", |metrics| metrics.gauges.calls_running as u64),
    Single("waiting_bytes", "Bytes of the arguments of waiting calls.", |metrics| metrics.gauges.waiting_bytes as u64),
    Single("streams", "Calls with streams.", |metrics| metrics.gauges.streams as u64),
    Single("stream_bytes", "Bytes of stream items that their readers have not read.", |metrics| {
        metrics.gauges.stream_bytes
    }),
    Single("affinity_keys", "Affinity keys in use.", |metrics| metrics.gauges.affinity_keys as u64),
    Single("cached_replies", "Outcomes that are kept until their clients acknowledge them.", |metrics| {
        metrics.gauges.cached_replies as u64
    }),
    Single("cached_reply_bytes", "Bytes of these outcomes.", |metrics| metrics.gauges.cached_reply_bytes as u64),
    Single("dead_letters_held", "Dead letters that are kept.", |metrics| metrics.gauges.dead_letters as u64),
    Single("dead_letter_bytes", "Bytes of the arguments of dead letters.", |metrics| {
        metrics.gauges.dead_letter_bytes as u64
    }),
    Single("registered_bytes", "Bytes that the registrations of workers take.", |metrics| {
        metrics.gauges.registered_bytes as u64
    }),
    Single("services_omitted", "Services without gauges of their own, because there are too many.", |metrics| {
        metrics.services_omitted as u64
    }),
    Single("connections", "Open connections.", |metrics| metrics.gate.connections),
    Single("connections_unauthenticated", "Open connections that are not authenticated yet.", |metrics| {
        metrics.gate.pending
    }),
    Single(
        "connections_of_previous_keys",
        "Encrypted connections that use another key of the broker than its present one.",
        |metrics| metrics.gate.connections_of_previous_keys,
    ),
    Single("connections_limit", "The limit of connections.", |metrics| limit(metrics, "connections_max")),
    Single(
        "held_bytes",
        "Bytes that are held for peers: unread messages, and bytes that peers have not read.",
        |metrics| metrics.gate.held_bytes,
    ),
    Single("held_limit_bytes", "The limit of bytes that are held for peers.", |metrics| {
        limit(metrics, "held_bytes_max")
    }),
];

fn limit(metrics: &Metrics, name: &str) -> u64 {
    metrics.gate.limits.get(name).copied().unwrap_or_default()
}

/// Writes the metrics of the broker as a whole.
pub(super) fn encode(metrics: &Metrics, families: &mut Families<'_>) -> fmt::Result {
    for Single(name, help, value) in COUNTERS {
        families.counters(name, help, [([], value(metrics))])?;
    }
    for Single(name, help, value) in GAUGES {
        families.gauges(name, help, [([], value(metrics))])?;
    }
    let uptime = metrics.uptime_ms as f64 / 1_000.0;
    families.gauges("uptime_seconds", "Time since the broker started.", [([], uptime)])?;
    let closed = metrics.gate.closed.iter().map(|(reason, &count)| ([("reason", reason.as_str())], count));
    families.counters("connections_closed", "Connections that ended, by reason.", closed)
}
