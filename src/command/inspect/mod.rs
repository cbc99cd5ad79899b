//! Commands that show the state of a broker, its services and its settings.

pub(crate) mod config;
pub(crate) mod contract;
pub(crate) mod dead;
pub(crate) mod describe;
pub(crate) mod peers;
pub(crate) mod ping;
pub(crate) mod services;
pub(crate) mod status;
pub(crate) mod top;
pub(crate) mod why;
