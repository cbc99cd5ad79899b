//! The wire protocol between clients, broker and workers. `docs/PROTOCOL.md` is its specification.

pub mod affinity;
pub mod broadcast;
pub mod bundle;
pub mod envelope;
pub mod extensions;
pub mod handshake;
pub mod header;
pub mod ids;
pub mod item_batch;
pub mod kind;
pub mod limits;
pub mod method;
mod role;
pub mod status;
pub mod streams;
pub(crate) mod versions;

pub use bundle::{Bundler, Frames};
pub use envelope::Envelope;
