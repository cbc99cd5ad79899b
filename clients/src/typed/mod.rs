//! Typed calls: the calls of a service's stub.

pub mod bounds;
pub(crate) mod call;
pub(crate) mod failure;
pub(crate) mod reply;
pub(crate) mod stream;
pub mod style;
