//! The broker of Callboard: the pure machine of `callboard_core` with a gate, a clock and a log.
//!
//! [`RunningBroker`] runs one on a thread of its own, which is what programs want; [`Broker`] is the run loop itself.

mod broker;
mod clock;
mod error;
pub mod gate;
mod notes;
mod running;
mod settings;

pub use self::{broker::Broker, error::BrokerError, running::RunningBroker, settings::Settings};
