//! Calls with streams, and calls with progress.

pub(crate) mod buffer;
pub(crate) mod command;
pub(crate) mod handle;
pub(crate) mod item_sender;
pub(crate) mod progress;
pub(crate) mod reply_future;
pub(crate) mod reply_stream;
