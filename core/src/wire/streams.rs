//! Which streams a call has, and the credit of a stream.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::limits::{STREAM_BYTES, STREAM_ITEMS};

/// The streams of a call besides its request and reply: header key 29, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// Which side sends items. Bit 0: the handler, to the caller. Bit 1: the caller, to the handler.
    pub style: Style,
    /// Bit 2: the caller requests progress reports.
    pub progress: bool,
}

/// Which streams a method has. The worker declares it, and callers must use the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// One request, one reply.
    #[default]
    Unary,
    /// The handler sends items.
    Server,
    /// The caller sends items.
    Client,
    /// Both send items.
    #[serde(rename = "both")]
    Bidi,
}

/// Credit of one stream: how much its writer may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemCredit {
    /// Number of items.
    pub items: u32,
    /// Bytes of their bodies.
    pub bytes: u64,
}

impl Streams {
    /// A call without streams.
    pub const NONE: Streams = Streams { style: Style::Unary, progress: false };

    /// Returns the bits on the wire.
    pub const fn bits(self) -> u8 {
        self.to_caller() as u8 | (self.from_caller() as u8) << 1 | (self.progress as u8) << 2
    }

    /// Returns the streams of these bits.
    ///
    /// # Errors
    /// The bits without a meaning, which must not be ignored.
    pub const fn from_bits(bits: u64) -> Result<Streams, u64> {
        match bits & !0b111 {
            0 => Ok(Streams { style: Style::of(bits & 0b001 != 0, bits & 0b010 != 0), progress: bits & 0b100 != 0 }),
            unknown => Err(unknown),
        }
    }

    /// Returns whether the handler sends items to the caller.
    pub const fn to_caller(self) -> bool {
        matches!(self.style, Style::Server | Style::Bidi)
    }

    /// Returns whether the caller sends items to the handler.
    pub const fn from_caller(self) -> bool {
        matches!(self.style, Style::Client | Style::Bidi)
    }
}

impl Style {
    /// Returns the style of a method whose handler, or whose callers, send items.
    pub const fn of(to_caller: bool, from_caller: bool) -> Style {
        match (to_caller, from_caller) {
            (false, false) => Style::Unary,
            (true, false) => Style::Server,
            (false, true) => Style::Client,
            (true, true) => Style::Bidi,
        }
    }

    /// Returns whether no items are sent.
    pub fn is_unary(&self) -> bool {
        *self == Style::Unary
    }
}

impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Style::Unary => "a method of one request and one reply",
            Style::Server => "a server stream (the handler sends items)",
            Style::Client => "a client stream (the caller sends items)",
            Style::Bidi => "a stream in both directions",
        })
    }
}

impl ItemCredit {
    /// No credit.
    pub const NONE: ItemCredit = ItemCredit { items: 0, bytes: 0 };
    /// The largest window of one direction of a stream. Our readers grant all of it.
    pub const WINDOW: ItemCredit = ItemCredit { items: STREAM_ITEMS, bytes: STREAM_BYTES };

    /// Returns the credit for one item of this size.
    pub const fn one(bytes: u64) -> ItemCredit {
        ItemCredit { items: 1, bytes }
    }

    /// Returns whether this covers `other`.
    pub const fn covers(self, other: ItemCredit) -> bool {
        other.items <= self.items && other.bytes <= self.bytes
    }

    /// Returns the sum.
    #[must_use]
    pub const fn with(self, other: ItemCredit) -> ItemCredit {
        ItemCredit { items: self.items.saturating_add(other.items), bytes: self.bytes.saturating_add(other.bytes) }
    }

    /// Returns the difference, at least zero.
    #[must_use]
    pub const fn without(self, other: ItemCredit) -> ItemCredit {
        ItemCredit { items: self.items.saturating_sub(other.items), bytes: self.bytes.saturating_sub(other.bytes) }
    }

    /// Returns the smaller of both, for items and for bytes.
    #[must_use]
    pub fn min(self, other: ItemCredit) -> ItemCredit {
        ItemCredit { items: self.items.min(other.items), bytes: self.bytes.min(other.bytes) }
    }
}
