//! The gate's rules, over real sockets: scripted peers that speak ZMTP byte by byte, and the DEALER of the zeromq crate.

#![allow(clippy::unwrap_used, missing_docs)]

mod attacks;
mod crowds;
mod curve;
mod dealer;
mod handshake;
mod ipc;
mod life;
mod messages;
mod pace;
mod peer;
mod scene;
