//! The delivery of outcomes from the I/O thread to futures and callbacks.

pub(crate) mod batch;
pub(crate) mod callbacks;
pub(crate) mod notifier;
pub(crate) mod pending_reply;
pub(crate) mod reply_sink;
