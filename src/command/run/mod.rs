//! Commands that run until they are asked to stop: a broker, a pool, both together, and the internal programs.

pub(crate) mod broker;
pub(crate) mod internal;
pub(crate) mod pool;
pub(crate) mod up;
