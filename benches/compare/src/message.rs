//! The message that all peers send back.

use bytes::Bytes;
use callboard::core::body;
use serde::{Deserialize, Serialize};

/// The same three fields for all peers. Those without an encoding of their own use CBOR.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) id: u64,
    pub(crate) name: String,
    #[serde(with = "serde_bytes")]
    pub(crate) payload: Vec<u8>,
}

impl Message {
    /// Creates a message with `size` bytes of payload.
    pub(crate) fn new(id: u64, size: usize) -> Message {
        Message { id, name: "0123456789abcdef".to_owned(), payload: vec![0x5a; size] }
    }

    pub(crate) fn encode(&self) -> anyhow::Result<Bytes> {
        Ok(body::encode(self)?)
    }

    pub(crate) fn decode(encoded: &[u8]) -> anyhow::Result<Message> {
        Ok(body::decode(encoded)?)
    }
}
