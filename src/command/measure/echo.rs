//! The methods that demo and bench call.

use callboard::{Context, Reply};
use serde::{Deserialize, Serialize};

/// The slots of the bench's service: more than any window, so that no call waits in the broker.
pub(crate) const SLOTS: u32 = 8_192;

/// The argument and result of `bench.echo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) id: u64,
    pub(crate) name: String,
    #[serde(with = "serde_bytes")]
    pub(crate) payload: Vec<u8>,
}

/// A square, and the process that computed it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Square {
    pub(crate) square: u64,
    pub(crate) pid: u32,
}

/// Computes a square.
pub(crate) async fn square(_context: Context, number: u64) -> Reply<Square> {
    Reply(Square { square: number.saturating_mul(number), pid: std::process::id() })
}

/// Returns its argument, which the worker decodes and encodes.
pub(crate) async fn echo(message: Message) -> Reply<Message> {
    Reply(message)
}
