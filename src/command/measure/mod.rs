//! Commands that start a private broker, workers and clients, and measure them: `demo` and `bench`.

pub(crate) mod bench;
pub(crate) mod demo;
pub(crate) mod echo;
