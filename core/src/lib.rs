//! The protocol logic of Callboard as pure state machines: no runtime, no sockets, no clock, no randomness, no logging.
//!
//! [`wire`] is the format on the wire, [`body`] encodes Rust values as CBOR bodies and decodes them, [`contract`] describes
//! services, and [`auth`] proves that two peers share a key. [`broker`], [`client`] and [`worker`] are the three machines: they
//! take events and return actions. Time, randomness and keys are arguments, so that a simulation can replay a run from its seed.

pub mod auth;
pub mod body;
pub mod broker;
pub mod client;
pub mod contract;
mod deadline_queue;
pub mod peer;
mod sequence_map;
mod stream;
mod table_index;
pub mod text;
pub mod time;
pub mod wire;
pub mod worker;
pub mod zmtp;
