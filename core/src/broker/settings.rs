//! What the broker's operator may choose.

use std::time::Duration;

use super::AllowedServices;
use crate::{
    auth::AuthKeys,
    wire::{
        ids::{BrokerId, StartId},
        limits,
    },
};

/// The machine's settings. Each default is the limit of the same name in [`crate::wire::limits`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where clients connect, as workers are told for their own calls.
    pub frontend: String,
    /// Where workers connect, as a worker that came to the frontend is told.
    pub backend: String,
    /// How often the broker lets itself be heard. Too low: load; too high: peers notice late that it is gone.
    pub heartbeat: Duration,
    /// Calls one client may have open. Too low: clients wait for credit; too high: one client can fill the memory.
    pub credit_calls: u32,
    /// Bytes of bodies one client may have open; at least twice `message_bytes_max`.
    pub credit_bytes: u64,
    /// Calls that may wait for one service.
    pub queue_calls_max: usize,
    /// Bytes of bodies that may wait for one service.
    pub queue_bytes_max: usize,
    /// A party whose oldest call for a service has waited longer has no more calls of it taken. `None`: however long.
    pub queue_age_max: Option<Duration>,
    /// Calls that may wait for all services; of one party [`limits::PARTY_PART`] of them.
    pub waiting_calls_max: usize,
    /// Bytes of bodies that may wait for all services; of one party [`limits::PARTY_PART`] of them.
    pub waiting_bytes_max: usize,
    /// Clients that are away and may come back; of one party [`limits::PARTY_PART`] of them. Too low: after a broken network, calls that
    /// were sent again may not run.
    pub clients_away_max: usize,
    /// Bytes of outcomes that are remembered for all sessions.
    pub outcomes_bytes_max: usize,
    /// The largest message that the gate takes, as peers are told.
    pub message_bytes_max: usize,
    /// Bytes of bodies that a worker may have been sent and not read yet. Too low: it idles while the next call travels; too high: what
    /// waits on the way to it waits for nobody else.
    pub worker_bytes_max: usize,
    /// Calls of a service, in a hundred, that may be sent again after the loss of a worker.
    pub retry_percent: u32,
    /// Retries of a service in a second that it has in any case.
    pub retry_floor: u32,
    /// Retries of a service that may be saved up.
    pub retry_burst: u32,
    /// How long a service that lost its last worker is waited for.
    pub service_return: Duration,
    /// How long after its start the broker waits for workers before it says that nobody serves a service.
    pub quiet_time: Duration,
    /// The keys of which every peer must prove to know one; `None`: anybody is let in.
    pub keys: Option<AuthKeys>,
    /// Which services workers may serve. Default: all.
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
            clients_away_max: limits::CLIENTS_AWAY_MAX,
            outcomes_bytes_max: limits::OUTCOMES_BYTES_MAX,
            message_bytes_max: limits::MESSAGE_BYTES_MAX,
            worker_bytes_max: limits::WORKER_BYTES_MAX,
            retry_percent: limits::RETRY_PERCENT,
            retry_floor: limits::RETRY_FLOOR,
            retry_burst: limits::RETRY_BURST,
            service_return: limits::SERVICE_RETURN,
            quiet_time: limits::QUIET_TIME,
            keys: None,
            services: AllowedServices::default(),
        }
    }
}

/// Who this broker is. The ids are chance, and the third is the wall clock, so they come from the driver.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// The broker.
    pub broker: BrokerId,
    /// This start of it.
    pub start: StartId,
    /// Fences of keyed calls rise from here. Those of a later start must be above those of an earlier one, so it is the wall clock's
    /// microseconds: they pass faster than buckets can move.
    pub fences_from: u64,
}
