//! The broker's rules: given, when, then.
#![allow(clippy::unwrap_used)]

mod broadcasts;
mod clients;
mod concurrency;
mod dispatching;
mod faults;
mod handshakes;
mod keyed;
mod limits;
mod load;
mod lost_calls;
mod matrix;
mod peers;
mod proving;
mod services;
mod sharing;
mod stage;
mod streams;
mod unread;
mod waiting;
