//! One whole ZeroMQ message.

use bytes::Bytes;

use crate::wire::limits::MESSAGE_FRAMES_MAX;

const _: () = assert!(MESSAGE_FRAMES_MAX == 2, "a message is made of one frame or of two");

/// The frames of one received message: one or two, in place of a vector that would be allocated for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    frames: [Bytes; MESSAGE_FRAMES_MAX],
    count: usize,
}

impl Message {
    /// A message of one frame.
    pub fn one(only: Bytes) -> Message {
        Message { frames: [only, Bytes::new()], count: 1 }
    }

    /// A message of two frames.
    pub fn two(first: Bytes, second: Bytes) -> Message {
        Message { frames: [first, second], count: 2 }
    }

    /// The frames, as the machines take them.
    pub fn frames(&self) -> &[Bytes] {
        &self.frames[..self.count]
    }

    /// The bytes of all frames together.
    pub fn bytes(&self) -> usize {
        self.frames.iter().map(Bytes::len).sum()
    }
}
