//! The errors of the public API.

pub(crate) mod call_error;
pub(crate) mod close_error;
pub(crate) mod connect_error;
pub(crate) mod send_error;
