//! The worker: its settings, its lifecycle, and the I/O thread that drives it.
//!
//! `builder` and `running` are the public API. `driver` is the loop of the I/O thread.

mod builder;
mod driver;
mod error;
mod outage_log;
mod running;
mod signals;
mod state;

pub use self::{
    builder::{BACKEND_DEFAULT, Worker},
    error::WorkerError,
    running::RunningWorker,
    state::WorkerState,
};
