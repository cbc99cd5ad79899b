//! The fuzz targets: one function for each, which takes any bytes and panics if a guarantee is violated.
//!
//! libFuzzer calls them from `fuzz_targets/`, and `core/tests/corpus.rs` includes this file and runs them on every file of
//! `fuzz/corpus/` as an ordinary test. So nothing here depends on libFuzzer, and both run the same checks.
//!
//! | target | its input is | what must hold |
//! |---|---|---|
//! | [`gate`] | the bytes of a connection, and how they are split | all splits have the same events; little is buffered |
//! | [`curve`] | a script for an attacker between two peers with CURVE | messages arrive once, in order and unchanged, or not at all |
//! | [`envelope`] | frames, or one body | what is read can be written and read again; all ways of reading agree |
//! | [`handshake`] | the messages before authentication, to the broker or to a peer | each leads to the next step or to a goodbye; a proof holds on its own channel only |
//! | [`machine`] | a script for a broker with clients, workers and unauthenticated peers | the invariants of each machine; each call ends once; all tables end empty |

mod bodies;
mod broker;
mod client;
mod curve;
mod envelope;
mod gate;
mod generate;
mod handshake;
mod machine;
mod peer;
mod script;
mod worker;
mod world;

pub use self::{curve::curve, envelope::envelope, gate::gate, handshake::handshake, machine::machine};
