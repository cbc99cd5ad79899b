//! A strict reader of CBOR tokens, which rejects what RFC 8949 section 4.2.1 does not allow.

use std::ops::Range;

use super::{super::limits::DEPTH_MAX, head::major};

/// An error of the encoding, as a text for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct EncodingError(pub(in super::super) &'static str);

/// The bytes end within the item.
pub(super) const ENDS_EARLY: EncodingError = EncodingError("the envelope is truncated");
const NOT_CBOR: EncodingError = EncodingError("invalid CBOR");
const NOT_SHORTEST: EncodingError = EncodingError("integers and lengths must be written in their shortest form");
const NOT_DEFINITE: EncodingError = EncodingError("lengths must be definite");
const NOT_ASCENDING: EncodingError = EncodingError("map keys must be in ascending order, without duplicates");
const NOT_UNSIGNED: EncodingError = EncodingError("header keys must be unsigned integers");
const NOT_UTF8: EncodingError = EncodingError("text must be UTF-8");
const NOT_PLAIN: EncodingError =
    EncodingError("an extension must consist of integers, strings, arrays, maps, booleans and null");
const NO_FLOATS: EncodingError = EncodingError("floating-point numbers are not allowed in a header");
const TOO_DEEP: EncodingError = EncodingError("an extension is nested too deeply");

/// A position in a slice of bytes. Methods check bounds before they advance: they never panic, and never trust an announced length.
#[derive(Clone, Debug)]
pub(in super::super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Creates a cursor at `at`.
    pub(in super::super) fn new(bytes: &'a [u8], at: usize) -> Cursor<'a> {
        Cursor { bytes, at }
    }

    /// Returns the offset of the next item.
    pub(in super::super) fn at(&self) -> usize {
        self.at
    }

    /// Moves back to `at`, the start of an item.
    pub(super) fn rewind(&mut self, at: usize) {
        self.at = at;
    }

    /// Returns whether all bytes were read.
    pub(in super::super) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Reads the major type and the argument of an item.
    #[inline]
    pub(super) fn head(&mut self) -> Result<(u8, u64), EncodingError> {
        let first = *self.bytes.get(self.at).ok_or(ENDS_EARLY)?;
        let (major, low) = (first >> 5, first & 0x1f);
        if low < 24 {
            self.at += 1;
            return Ok((major, u64::from(low)));
        }
        // These lengths are those of floating-point numbers.
        if major == major::SIMPLE && matches!(low, 25..=27) {
            return Err(NO_FLOATS);
        }
        Ok((major, self.long_argument(low)?))
    }

    /// Reads a key of a header: an unsigned integer above the `previous` one.
    #[inline]
    pub(super) fn key(&mut self, previous: Option<u64>) -> Result<u64, EncodingError> {
        match self.head()? {
            (major::UNSIGNED, key) if previous.is_none_or(|previous| key > previous) => Ok(key),
            (major::UNSIGNED, _) => Err(NOT_ASCENDING),
            _ => Err(NOT_UNSIGNED),
        }
    }

    /// Reads a string, and returns the range of its content. `None` if the item has another major type.
    #[inline]
    pub(in super::super) fn string(&mut self, major: u8) -> Result<Option<Range<usize>>, EncodingError> {
        match self.head()? {
            (found, len) if found == major => self.content(len).map(Some),
            _ => Ok(None),
        }
    }

    /// Skips one plain item (see `NOT_PLAIN`) in deterministic encoding.
    pub(super) fn plain_item(&mut self) -> Result<(), EncodingError> {
        // The header itself is one level.
        self.plain_item_within(DEPTH_MAX - 1)
    }

    fn plain_item_within(&mut self, depth: usize) -> Result<(), EncodingError> {
        let depth = depth.checked_sub(1).ok_or(TOO_DEEP)?;
        match self.head()? {
            (major::UNSIGNED | major::NEGATIVE, _) => Ok(()),
            (major::BYTES, len) => self.content(len).map(drop),
            (major::TEXT, len) => {
                let content = self.content(len)?;
                std::str::from_utf8(&self.bytes[content]).map(drop).map_err(|_| NOT_UTF8)
            }
            // An announced count alone costs nothing: each item takes at least a byte, or the loop ends.
            (major::ARRAY, count) => (0..count).try_for_each(|_| self.plain_item_within(depth)),
            (major::MAP, count) => self.plain_pairs(count, depth),
            (major::SIMPLE, 20..=22) => Ok(()),
            _ => Err(NOT_PLAIN),
        }
    }

    fn plain_pairs(&mut self, count: u64, depth: usize) -> Result<(), EncodingError> {
        let mut previous: &[u8] = &[];
        for _ in 0..count {
            let start = self.at;
            self.plain_item_within(depth)?;
            let key = &self.bytes[start..self.at];
            if key <= previous {
                return Err(NOT_ASCENDING);
            }
            previous = key;
            self.plain_item_within(depth)?;
        }
        Ok(())
    }

    /// Reads the argument after the first byte, whose lower five bits are `low`.
    fn long_argument(&mut self, low: u8) -> Result<u64, EncodingError> {
        let rest = &self.bytes[self.at + 1..];
        let (value, width, min) = match low {
            24 => (rest.first_chunk().map(|bytes| u8::from_be_bytes(*bytes).into()), 1, 24),
            25 => (rest.first_chunk().map(|bytes| u16::from_be_bytes(*bytes).into()), 2, 1 << 8),
            26 => (rest.first_chunk().map(|bytes| u32::from_be_bytes(*bytes).into()), 4, 1 << 16),
            27 => (rest.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)), 8, 1 << 32),
            31 => return Err(NOT_DEFINITE),
            _ => return Err(NOT_CBOR),
        };
        let value = value.ok_or(ENDS_EARLY)?;
        if value < min {
            return Err(NOT_SHORTEST);
        }
        self.at += 1 + width;
        Ok(value)
    }

    fn content(&mut self, len: u64) -> Result<Range<usize>, EncodingError> {
        let left = self.bytes.len() - self.at;
        let len = usize::try_from(len).ok().filter(|len| *len <= left).ok_or(ENDS_EARLY)?;
        let start = self.at;
        self.at += len;
        Ok(start..self.at)
    }
}
