//! The broker of Callboard: the pure machine of `callboard_core` with a gate, a clock and a log.
//!
//! [`RunningBroker`], for most programs, runs a broker on a thread of its own. [`Broker`] is the run loop itself.

mod broker;
mod clock;
mod curve;
mod error;
pub mod gate;
mod log;
mod monitor;
mod peers;
mod running;
mod settings;

pub use self::{
    broker::Broker, error::BrokerError, monitor::BrokerMonitor, peers::PeerChanger, running::RunningBroker,
    settings::Settings,
};
