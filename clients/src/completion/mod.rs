//! The delivery of outcomes from the I/O thread to futures and callbacks. `batch` collects the outcomes of a turn;
//! `pending_reply` sends the outcome of an awaited call to its future, `callbacks` runs callbacks.

pub(crate) mod batch;
pub(crate) mod callbacks;
pub(crate) mod notifier;
pub(crate) mod pending_reply;
pub(crate) mod reply_sink;
