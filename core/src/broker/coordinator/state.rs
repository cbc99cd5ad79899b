//! The state of the broker: its parts, each of which owns its tables.

use super::super::{
    admin::{AdminCache, GateStatus},
    affinity::Affinity,
    calls::{Calls, DeadLetters},
    deferred::Deferred,
    flow::{Broadcasts, Streams},
    handshake::Connections,
    interface::{Counters, Identity, Settings},
    keys::KeySource,
    metrics::CallMetrics,
    registry::Registry,
    scheduling::Tenants,
    sessions::Sessions,
    timers::Timers,
};
use crate::time::Time;

/// The broker machine.
///
/// It coordinates its parts. Its methods are in `machine`, `peers`, `messages` and `dispatch`.
#[derive(Debug)]
pub struct Broker {
    pub(crate) settings: Settings,
    pub(crate) identity: Identity,
    pub(crate) lifecycle: Lifecycle,
    /// Connections, and their handshakes.
    pub(crate) connections: Connections,
    /// The sessions of clients.
    pub(crate) sessions: Sessions,
    /// Workers, services and offers.
    pub(crate) registry: Registry,
    /// The tenants, and the backlog of each.
    pub(crate) tenants: Tenants,
    pub(crate) calls: Calls,
    pub(crate) affinity: Affinity,
    pub(crate) streams: Streams,
    pub(crate) broadcasts: Broadcasts,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) timers: Timers,
    pub(crate) deferred: Deferred,
    pub(crate) key_source: KeySource,
    pub(crate) counters: Counters,
    pub(crate) admin: AdminCache,
    /// The calls of the broker's own service.
    pub(crate) admin_metrics: CallMetrics,
    /// The state of the driver's gate, as the driver reported it last.
    pub(crate) gate: GateStatus,
}

/// Where the broker is between its start and its end.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    pub(crate) started: Time,
    /// When the machine last recovered from a stall: it had not been run in time, because its process was stopped or
    /// the clock jumped.
    pub(crate) stall_recovered_at: Time,
    /// While the broker shuts down: when it stops waiting for running calls.
    pub(crate) shutdown_deadline: Option<Time>,
    pub(crate) stopped: bool,
}

impl Lifecycle {
    pub(crate) fn is_shutting_down(&self) -> bool {
        self.shutdown_deadline.is_some()
    }
}
