//! Encrypted connections: who connects, what the wire shows, and what an attacker on the wire can do.

mod guide;
mod misuse;
mod pools;
mod walkthrough;
mod wire;
