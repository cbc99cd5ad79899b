//! Commands with which operators change what the broker does with calls and workers.

pub(crate) mod cancel;
pub(crate) mod drain;
pub(crate) mod limit;
pub(crate) mod pause;
pub(crate) mod purge;
pub(crate) mod request;
