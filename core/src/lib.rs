//! What each side of Callboard must do, as plain data: no runtime, no socket, no clock, no chance, no log.
//!
//! [`wire`] is the format on the wire, [`body`] turns Rust values into CBOR bodies and back, [`contract`] describes services,
//! [`auth`] proves that a key is shared, and [`broker`], [`client`] and [`worker`] are the three machines: events in, actions
//! out. Time, randomness and keys come in as arguments, so
//! that everything the system does can be replayed from a seed.

pub mod auth;
pub mod body;
pub mod broker;
pub mod client;
pub mod contract;
mod deadline_queue;
pub mod peer;
mod sequence_map;
mod stream;
pub mod time;
pub mod wire;
pub mod worker;
pub mod zmtp;
