//! The state of the broker: its parts, each of which alone changes what it owns.

use super::{
    admin::{AdminCache, GateStatus},
    affinity::Affinity,
    calls::{Calls, DeadLetters},
    counters::Counters,
    deferred::Deferred,
    flow::{Broadcasts, Streams},
    handshake::Connections,
    keys::KeySource,
    registry::Registry,
    scheduling::Tenants,
    sessions::Sessions,
    settings::{Identity, Settings},
    timers::Timers,
};
use crate::time::Time;

/// The broker machine.
///
/// It coordinates its parts. The methods that do so are in `machine`, `peers`, `messages` and `dispatch`; no other file adds any.
#[derive(Debug)]
pub struct Broker {
    pub(super) settings: Settings,
    pub(super) identity: Identity,
    pub(super) lifecycle: Lifecycle,
    /// Connections, and their handshakes.
    pub(super) connections: Connections,
    /// The sessions of clients.
    pub(super) sessions: Sessions,
    /// Workers, services and offers.
    pub(super) registry: Registry,
    /// Units of fairness, and what waits of each.
    pub(super) tenants: Tenants,
    pub(super) calls: Calls,
    pub(super) affinity: Affinity,
    pub(super) streams: Streams,
    pub(super) broadcasts: Broadcasts,
    pub(super) dead_letters: DeadLetters,
    pub(super) timers: Timers,
    pub(super) deferred: Deferred,
    pub(super) key_source: KeySource,
    pub(super) counters: Counters,
    pub(super) admin: AdminCache,
    /// The state of the driver's gate, as the driver reported it last.
    pub(super) gate: GateStatus,
}

/// Where the broker is between its start and its end.
#[derive(Debug)]
pub(super) struct Lifecycle {
    pub(super) started: Time,
    /// When the machine last ran again after it had not been run in time: its process was stopped, or the clock leapt.
    pub(super) stall_recovered_at: Time,
    /// While the broker shuts down: when it stops waiting for running calls.
    pub(super) shutdown_deadline: Option<Time>,
    pub(super) stopped: bool,
}

impl Lifecycle {
    pub(super) fn is_shutting_down(&self) -> bool {
        self.shutdown_deadline.is_some()
    }
}
