//! System tests: real processes over real sockets. The name of each test is the rule that it proves.
#![cfg(feature = "command")]
#![allow(clippy::unwrap_used)]

mod admin;
mod calls;
mod encryption;
mod examples;
mod failures;
mod foreign;
mod harness;
mod operations;
mod pools;
mod streams;
