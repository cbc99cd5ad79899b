//! What is fuzzed: one function for each target, from any bytes to a panic if a promise is broken.
//!
//! libFuzzer calls them from `fuzz_targets/`, and `core/tests/corpus.rs` includes this file and runs them on every file of
//! `fuzz/corpus/` as an ordinary test. So nothing here knows of libFuzzer, and what is checked is the same in both.
//!
//! | target | what its bytes are | what must hold |
//! |---|---|---|
//! | [`gate`] | what a stranger sends to the broker's port, and how it is cut | the same items whatever the cuts; little is kept |
//! | [`envelope`] | frames, or one body | what is read is written back and read again; all ways of reading agree |
//! | [`handshake`] | what a stranger says before it is let in, to the broker or to a peer | progress or goodbye |
//! | [`machine`] | a script for a broker with clients, workers and strangers | every machine's `check`, each call ends once, nothing stays |

mod bodies;
mod broker;
mod client;
mod envelope;
mod gate;
mod handshake;
mod machine;
mod peer;
mod said;
mod script;
mod worker;
mod world;

pub use self::{envelope::envelope, gate::gate, handshake::handshake, machine::machine};
