//! The settings of the broker machine.

use std::time::Duration;

use super::super::registry::AllowedServices;
use crate::{
    auth::PeerDirectory,
    wire::{
        ids::{BrokerId, StartId},
        limits,
    },
};

/// The settings of the broker machine. Each default is the limit of the same name in [`crate::wire::limits`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address that clients connect to. Workers get it for their own calls.
    pub frontend: String,
    /// The address that workers connect to. A worker that connects to the frontend gets it in the error.
    pub backend: String,
    /// The heartbeat interval of the broker. Too low: load. Too high: peers notice its loss late.
    pub heartbeat: Duration,
    /// Calls that one client may have open. Too low: clients wait for credit. Too high: one client can fill the memory.
    pub credit_calls: u32,
    /// Bytes of bodies that one client may have open; at least twice `message_bytes_max`.
    pub credit_bytes: u64,
    /// Calls that may wait for one service.
    pub queue_calls_max: usize,
    /// Bytes of bodies that may wait for one service.
    pub queue_bytes_max: usize,
    /// A tenant whose oldest call for a service has waited longer gets new calls rejected. `None`: no limit.
    pub queue_age_max: Option<Duration>,
    /// Calls that may wait for all services. One tenant may have one part in [`limits::TENANT_SHARE`] of them.
    pub waiting_calls_max: usize,
    /// Bytes of bodies that may wait for all services. One tenant may have one part in [`limits::TENANT_SHARE`] of them.
    pub waiting_bytes_max: usize,
    /// Disconnected clients that may return. One tenant may have one part in [`limits::TENANT_SHARE`] of them. Too low: after a network
    /// failure, calls that are sent again may not run.
    pub disconnected_clients_max: usize,
    /// Bytes of all reply caches together.
    pub outcomes_bytes_max: usize,
    /// The largest message that the gate accepts. Peers get it in the welcome.
    pub message_bytes_max: usize,
    /// Bytes of bodies that a worker may have been sent and not read yet. Too low: it idles while the next call travels. Too high: calls
    /// wait in its connection while other workers are free.
    pub worker_bytes_max: usize,
    /// The largest handler time that is expected of the calls that go to one worker in a turn although others are free. Too low: each
    /// short call wakes another worker. Too high: calls wait for those before them while other workers are idle. Zero: one call each.
    pub batch_time: Duration,
    /// A call that took at least so long, from its request to its outcome, is logged. `None`: no call is.
    pub slow_call: Option<Duration>,
    /// The share of a service's calls, in percent, that may be retried after the loss of a worker.
    pub retry_percent: u32,
    /// Retries per second that a service has in any case.
    pub retry_floor: u32,
    /// Retries that a service may accumulate.
    pub retry_burst: u32,
    /// How long calls wait for a service that lost its last worker.
    pub service_return: Duration,
    /// How long after its start the broker waits for workers before it fails calls to services without workers.
    pub quiet_time: Duration,
    /// The peers that may connect. `None`: peers are not authenticated.
    pub peers: Option<PeerDirectory>,
    /// The services that workers may register. Default: all.
    pub services: AllowedServices,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            frontend: String::new(),
            backend: String::new(),
            heartbeat: limits::HEARTBEAT_DEFAULT,
            credit_calls: limits::CREDIT_CALLS,
            credit_bytes: limits::CREDIT_BYTES,
            queue_calls_max: limits::QUEUE_CALLS_MAX,
            queue_bytes_max: limits::QUEUE_BYTES_MAX,
            queue_age_max: None,
            waiting_calls_max: limits::WAITING_CALLS_MAX,
            waiting_bytes_max: limits::WAITING_BYTES_MAX,
            disconnected_clients_max: limits::DISCONNECTED_CLIENTS_MAX,
            outcomes_bytes_max: limits::TOTAL_OUTCOME_BYTES_MAX,
            message_bytes_max: limits::MESSAGE_BYTES_MAX,
            worker_bytes_max: limits::WORKER_UNREAD_BYTES_MAX,
            batch_time: limits::BATCH_TIME,
            slow_call: None,
            retry_percent: limits::RETRY_BUDGET_PERCENT,
            retry_floor: limits::RETRIES_PER_SECOND_MIN,
            retry_burst: limits::RETRY_BURST,
            service_return: limits::SERVICE_GRACE,
            quiet_time: limits::STARTUP_GRACE,
            peers: None,
            services: AllowedServices::default(),
        }
    }
}

/// The identity of the broker. The driver supplies it: the ids are random, and the fence comes from the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// The id of the broker.
    pub broker: BrokerId,
    /// The id of this start of it.
    pub start: StartId,
    /// The first fence of affinity keys. Fences of a later start must be above those of an earlier one, so it is the wall clock in
    /// microseconds: they pass faster than buckets can change workers.
    pub fences_from: u64,
}
