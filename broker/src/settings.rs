//! The settings of a broker.

use std::time::Duration;

use callboard_core::{
    auth::PeerDirectory,
    broker::{self, AllowedServices},
    wire::limits,
};

use crate::{
    BrokerError,
    gate::{Address, Curve, GateError, GateLimits},
};

/// The settings with which a broker starts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address for clients. Default: tcp://127.0.0.1:5559.
    pub frontend: Address,
    /// The address for workers and pools. Default: tcp://127.0.0.1:5560.
    pub backend: Address,
    /// Whether TCP addresses that other hosts can reach are allowed without authentication. Default: no.
    pub allow_unauthenticated: bool,
    /// The peers that may connect, with their rights. The keys of a key file are peers, too: `keys.into()`. Default: none, and every
    /// peer is accepted.
    pub peers: Option<PeerDirectory>,
    /// The CURVE key, and which peers may connect without encryption. Default: none, and no connection is encrypted.
    pub curve: Option<Curve>,
    /// The heartbeat interval. Default: 1 s. Too low: more load. Too high: peers detect the loss of the broker late.
    pub heartbeat: Duration,
    /// How long running calls may take to finish when the broker shuts down. Default: 5 s.
    pub drain: Duration,
    /// Calls that may wait for one service. Default: 65,536. Further calls are rejected with RESOURCE_EXHAUSTED.
    pub queue_calls_max: usize,
    /// Bytes of arguments that may wait for one service. Default: 256 MiB.
    pub queue_bytes_max: usize,
    /// How long the oldest call of a key or address may wait for a service before further calls of that key or address are rejected there,
    /// with RESOURCE_EXHAUSTED and a retry-after hint. Default: none, and calls wait as long as their timeouts allow.
    pub queue_age_max: Option<Duration>,
    /// The expected handler time of the short calls that go to one worker together, although others are free. Default: 200 us, about the
    /// cost of waking another worker. Too high: calls wait for others while workers are idle. Zero: each call goes to the worker with the
    /// fewest.
    pub batch_time: Duration,
    /// A call that took at least so long at the broker and its workers is logged, with where the time went. Default: none.
    pub slow_call: Option<Duration>,
    /// Calls that may wait for all services together. Default: 262,144. At most a quarter may be of one key or address. Further calls are
    /// rejected with RESOURCE_EXHAUSTED.
    pub waiting_calls_max: usize,
    /// Bytes of arguments that may wait for all services together. Default: 1 GiB. At most a quarter may be of one key or address.
    pub waiting_bytes_max: usize,
    /// Which services workers may serve. Default: all.
    pub services: AllowedServices,
    /// The limits of connections.
    pub gate: GateLimits,
}

impl Settings {
    /// Creates the default settings, with these addresses.
    pub fn new(frontend: Address, backend: Address) -> Settings {
        Settings {
            frontend,
            backend,
            allow_unauthenticated: false,
            peers: None,
            curve: None,
            heartbeat: limits::HEARTBEAT_DEFAULT,
            drain: limits::BROKER_DRAIN_TIMEOUT,
            queue_calls_max: limits::QUEUE_CALLS_MAX,
            queue_bytes_max: limits::QUEUE_BYTES_MAX,
            queue_age_max: None,
            batch_time: limits::BATCH_TIME,
            slow_call: None,
            waiting_calls_max: limits::WAITING_CALLS_MAX,
            waiting_bytes_max: limits::WAITING_BYTES_MAX,
            services: AllowedServices::default(),
            gate: GateLimits::default(),
        }
    }

    /// Checks everything that can be checked without listening. Starting a broker does so, too.
    ///
    /// # Errors
    /// Other hosts can reach an address and no authentication is required, or limits contradict each other.
    pub fn check(&self) -> Result<(), BrokerError> {
        if !self.allow_unauthenticated && self.peers.is_none() {
            [&self.frontend, &self.backend].into_iter().try_for_each(refuse_unprotected)?;
        }
        Ok(self.gate.check()?)
    }

    /// Returns the machine's part of the settings, once the addresses are known.
    pub(crate) fn machine(&self, frontend: String, backend: String) -> broker::Settings {
        let message_bytes_max = self.gate.message_bytes_max;
        let default = broker::Settings::default();
        broker::Settings {
            frontend,
            backend,
            heartbeat: self.heartbeat,
            queue_calls_max: self.queue_calls_max,
            queue_bytes_max: self.queue_bytes_max,
            queue_age_max: self.queue_age_max,
            batch_time: self.batch_time,
            slow_call: self.slow_call,
            waiting_calls_max: self.waiting_calls_max,
            waiting_bytes_max: self.waiting_bytes_max,
            message_bytes_max,
            // The rest is for one more call, which is at most half of it, and for headers. So the unsent bytes of a
            // worker never exceed the limit at which the gate assumes that it does not read.
            worker_bytes_max: self.gate.unsent_bytes_max / 4,
            peers: self.peers.clone(),
            services: self.services.clone(),
            // Half the window must hold the largest message, or its sender would wait forever.
            credit_bytes: default.credit_bytes.max(2 * message_bytes_max as u64),
            ..default
        }
    }
}

/// Rejects an address that other hosts can reach, when no authentication is required.
fn refuse_unprotected(address: &Address) -> Result<(), BrokerError> {
    match address.is_loopback() {
        Ok(true) => Ok(()),
        Ok(false) => Err(BrokerError::Unprotected { address: address.clone() }),
        Err(source) => Err(GateError::Resolve { address: address.clone(), source }.into()),
    }
}
