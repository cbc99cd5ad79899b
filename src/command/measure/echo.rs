//! What demo and bench call, and what they check.

use callboard::{Context, Reply};
use serde::{Deserialize, Serialize};

/// Slots of the bench's service: more than any window, so that the broker never makes a call wait.
pub(crate) const SLOTS: u32 = 8_192;

/// What `bench.echo` gives back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) id: u64,
    pub(crate) name: String,
    #[serde(with = "serde_bytes")]
    pub(crate) payload: Vec<u8>,
}

/// A square, and which process computed it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Square {
    pub(crate) square: u64,
    pub(crate) pid: u32,
}

/// Computes a square.
pub(crate) async fn square(_context: Context, number: u64) -> Reply<Square> {
    Reply(Square { square: number.saturating_mul(number), pid: std::process::id() })
}

/// Gives a message back, decoded and encoded again on the way.
pub(crate) async fn echo(message: Message) -> Reply<Message> {
    Reply(message)
}
