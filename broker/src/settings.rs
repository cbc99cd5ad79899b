//! What the broker's operator may choose.

use std::time::Duration;

use callboard_core::{
    auth::AuthKeys,
    broker::{self, AllowedServices},
    wire::limits,
};

use crate::{
    BrokerError,
    gate::{Address, GateError, GateLimits},
};

/// Everything a broker needs to know before it starts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where clients connect. Default: tcp://127.0.0.1:5559.
    pub frontend: Address,
    /// Where workers and pools connect. Default: tcp://127.0.0.1:5560.
    pub backend: Address,
    /// Whether TCP addresses that other machines can reach are allowed although nobody is asked who they are. Default: no.
    pub allow_unauthenticated: bool,
    /// The keys of which every client, worker and pool must prove to know one. Default: none, and anybody is let in.
    pub keys: Option<AuthKeys>,
    /// How often the broker lets itself be heard. Default: 1 s. Too low is load; too high, and peers notice late that it is gone.
    pub heartbeat: Duration,
    /// How long running calls may take to finish once the broker is told to stop. Default: 5 s.
    pub drain: Duration,
    /// Calls that may wait for one service. Default: 65,536. More are refused with RESOURCE_EXHAUSTED.
    pub queue_calls_max: usize,
    /// Bytes of arguments that may wait for one service. Default: 256 MiB.
    pub queue_bytes_max: usize,
    /// How long the oldest call of a key or address may have waited for a service before no more of its calls are taken there, with
    /// RESOURCE_EXHAUSTED and when to try again. Default: none, and calls wait as long as their time-outs allow.
    pub queue_age_max: Option<Duration>,
    /// Calls that may wait for all services together. Default: 262,144. A quarter of them may be of one key or address. More are
    /// refused with RESOURCE_EXHAUSTED.
    pub waiting_calls_max: usize,
    /// Bytes of arguments that may wait for all services together. Default: 1 GiB. A quarter of them may be of one key or address.
    pub waiting_bytes_max: usize,
    /// Which services workers may serve. Default: all.
    pub services: AllowedServices,
    /// What the gate allows a connection.
    pub gate: GateLimits,
}

impl Settings {
    /// The defaults, on two addresses.
    pub fn new(frontend: Address, backend: Address) -> Settings {
        Settings {
            frontend,
            backend,
            allow_unauthenticated: false,
            keys: None,
            heartbeat: limits::HEARTBEAT_DEFAULT,
            drain: limits::BROKER_DRAIN,
            queue_calls_max: limits::QUEUE_CALLS_MAX,
            queue_bytes_max: limits::QUEUE_BYTES_MAX,
            queue_age_max: None,
            waiting_calls_max: limits::WAITING_CALLS_MAX,
            waiting_bytes_max: limits::WAITING_BYTES_MAX,
            services: AllowedServices::default(),
            gate: GateLimits::default(),
        }
    }

    /// Checks what can be known without listening anywhere. Starting a broker does so, too.
    ///
    /// # Errors
    /// An address is open to strangers and nobody is asked who he is, or limits do not fit together.
    pub fn check(&self) -> Result<(), BrokerError> {
        if !self.allow_unauthenticated && self.keys.is_none() {
            [&self.frontend, &self.backend].into_iter().try_for_each(refuse_unprotected)?;
        }
        Ok(self.gate.check()?)
    }

    /// What of it the machine needs, once the addresses are known.
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
            waiting_calls_max: self.waiting_calls_max,
            waiting_bytes_max: self.waiting_bytes_max,
            message_bytes_max,
            // The rest is for one call more, which is half of it at most, and for headers: a worker is never sent so much at once that
            // the gate takes it for one that does not read.
            worker_bytes_max: self.gate.unsent_bytes_max / 4,
            keys: self.keys.clone(),
            services: self.services.clone(),
            // Half the window must hold the largest message, or its sender would wait for ever.
            credit_bytes: default.credit_bytes.max(2 * message_bytes_max as u64),
            ..default
        }
    }
}

/// An address that other machines can reach is for those only who know what they do, as long as nobody is asked who he is.
fn refuse_unprotected(address: &Address) -> Result<(), BrokerError> {
    match address.is_loopback() {
        Ok(true) => Ok(()),
        Ok(false) => Err(BrokerError::Unprotected { address: address.clone() }),
        Err(source) => Err(GateError::Resolve { address: address.clone(), source }.into()),
    }
}
