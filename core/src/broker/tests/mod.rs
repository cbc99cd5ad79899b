//! Tests of the broker machine: each test sends messages and checks the actions of the broker.
#![allow(clippy::unwrap_used)]

mod affinity;
mod authentication;
mod batches;
mod broadcasts;
mod clients;
mod concurrency;
mod dispatching;
mod faults;
mod handshakes;
mod harness;
mod in_flight;
mod limits;
mod load;
mod lost_calls;
mod matrix;
mod metrics;
mod operating;
mod peers;
mod prefetch;
mod registration_limits;
mod registrations;
mod rights;
mod services;
mod shared_slots;
mod streams;
mod tenants;
mod wait_reasons;
