//! Which streams a call has, and how much may be on its way in one.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::limits::{STREAM_BYTES, STREAM_ITEMS};

/// Key 29, `streams`: what travels beside a call's request and reply, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// Bit 0: the handler sends items to the caller.
    pub to_caller: bool,
    /// Bit 1: the caller sends items to the handler.
    pub from_caller: bool,
    /// Bit 2: the caller wants to hear of progress.
    pub progress: bool,
}

/// Which streams a method has: what its worker declares, and what its callers must know.
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
    /// Both do.
    Both,
}

/// Room for items of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemCredit {
    /// How many.
    pub items: u32,
    /// Bytes of their bodies.
    pub bytes: u64,
}

impl Streams {
    /// An ordinary call.
    pub const NONE: Streams = Streams { to_caller: false, from_caller: false, progress: false };

    /// The bits on the wire.
    pub const fn bits(self) -> u8 {
        self.to_caller as u8 | (self.from_caller as u8) << 1 | (self.progress as u8) << 2
    }

    /// The streams of these bits.
    ///
    /// # Errors
    /// The bits that have no meaning, if there are any: they must not be ignored.
    pub const fn from_bits(bits: u64) -> Result<Streams, u64> {
        match bits & !0b111 {
            0 => Ok(Streams {
                to_caller: bits & 0b001 != 0,
                from_caller: bits & 0b010 != 0,
                progress: bits & 0b100 != 0,
            }),
            unknown => Err(unknown),
        }
    }

    /// What a method must be to be called so.
    pub const fn style(self) -> Style {
        match (self.to_caller, self.from_caller) {
            (false, false) => Style::Unary,
            (true, false) => Style::Server,
            (false, true) => Style::Client,
            (true, true) => Style::Both,
        }
    }
}

impl Style {
    /// Whether no items travel.
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
            Style::Both => "a stream in both directions",
        })
    }
}

impl ItemCredit {
    /// None.
    pub const NONE: ItemCredit = ItemCredit { items: 0, bytes: 0 };
    /// The most that a direction of a stream may have: our readers grant it.
    pub const WINDOW: ItemCredit = ItemCredit { items: STREAM_ITEMS, bytes: STREAM_BYTES };

    /// Room for one item of so many bytes.
    pub const fn one(bytes: u64) -> ItemCredit {
        ItemCredit { items: 1, bytes }
    }

    /// Whether all of `other` fits in here.
    pub const fn holds(self, other: ItemCredit) -> bool {
        other.items <= self.items && other.bytes <= self.bytes
    }

    /// Both together.
    #[must_use]
    pub const fn with(self, other: ItemCredit) -> ItemCredit {
        ItemCredit { items: self.items.saturating_add(other.items), bytes: self.bytes.saturating_add(other.bytes) }
    }

    /// What is left without `other`.
    #[must_use]
    pub const fn without(self, other: ItemCredit) -> ItemCredit {
        ItemCredit { items: self.items.saturating_sub(other.items), bytes: self.bytes.saturating_sub(other.bytes) }
    }

    /// What both have.
    #[must_use]
    pub fn shared(self, other: ItemCredit) -> ItemCredit {
        ItemCredit { items: self.items.min(other.items), bytes: self.bytes.min(other.bytes) }
    }
}
