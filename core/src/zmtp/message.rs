//! A complete ZeroMQ message.

use bytes::Bytes;

use crate::wire::limits::MESSAGE_FRAMES_MAX;

const _: () = assert!(MESSAGE_FRAMES_MAX == 2, "a message has one frame or two");

/// A received message of one or two frames. A vector of frames would need an allocation for each message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    frames: [Bytes; MESSAGE_FRAMES_MAX],
    count: usize,
}

impl Message {
    /// Creates a message of one frame.
    pub fn one(only: Bytes) -> Message {
        Message { frames: [only, Bytes::new()], count: 1 }
    }

    /// Creates a message of two frames.
    pub fn two(first: Bytes, second: Bytes) -> Message {
        Message { frames: [first, second], count: 2 }
    }

    /// Returns the frames, in the form that the machines take.
    pub fn frames(&self) -> &[Bytes] {
        &self.frames[..self.count]
    }

    /// Returns the bytes of all frames together.
    pub fn bytes(&self) -> usize {
        self.frames.iter().map(Bytes::len).sum()
    }
}
