//! The programs in `examples/`, run as a user runs them.

mod calculator;
mod kvs;
mod peers;
mod position;
mod users;
