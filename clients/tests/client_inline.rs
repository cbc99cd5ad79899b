//! The tests of the client library again, with an inline client.

#[path = "client/main.rs"]
mod client;
