//! The reader of CBOR items: the one that decoding, skipping and the splitting of arguments share.
//!
//! The reader is our own, not minicbor's: minicbor's `skip` accepts misplaced breaks and maps with an odd number of items. A body
//! may come from an unauthenticated peer, so each way of reading it must agree on what is well-formed.

use std::borrow::Cow;

/// The head of an item: its type, with its value, its length (`None`: indefinite) or its tag.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Head {
    /// An integer from 0 on.
    Unsigned(u64),
    /// The integer -1 - n.
    Negative(u64),
    /// A byte string of so many bytes.
    Bytes(Option<u64>),
    /// A text of so many bytes of UTF-8.
    Text(Option<u64>),
    /// An array of so many items.
    Array(Option<u64>),
    /// A map of so many pairs of a key and a value.
    Map(Option<u64>),
    /// The number of a tag; its item comes next.
    Tag(u64),
    /// A boolean.
    Bool(bool),
    /// Null.
    Null,
    /// Undefined.
    Undefined,
    /// A simple value that no standard assigns.
    Simple(u8),
    /// A float of any width.
    Float(f64),
    /// The end of an item of indefinite length.
    Break,
}

impl Head {
    /// Returns the name of the type, for an error message.
    pub fn description(self) -> &'static str {
        match self {
            Head::Unsigned(_) | Head::Negative(_) => "an integer",
            Head::Bytes(_) => "bytes",
            Head::Text(_) => "text",
            Head::Array(_) => "an array",
            Head::Map(_) => "a map",
            Head::Tag(_) => "a tag",
            Head::Bool(_) => "a boolean",
            Head::Null => "null",
            Head::Undefined => "undefined",
            Head::Simple(_) => "a simple value",
            Head::Float(_) => "a float",
            Head::Break => "a break",
        }
    }
}

/// Why bytes are not one well-formed CBOR item. The text continues a sentence after "it".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes end too early, or a length exceeds them.
    #[error("ends in the middle of an item")]
    Truncated,
    /// A head has no meaning yet.
    #[error("has a head that CBOR reserves")]
    ReservedHead,
    /// A break is out of place.
    #[error("has a break outside an item of indefinite length, or after a key")]
    UnexpectedBreak,
    /// A chunk of a string has the wrong type.
    #[error("has a chunk of the wrong type in a string of indefinite length")]
    InvalidChunk,
    /// A text is not UTF-8.
    #[error("has text that is not UTF-8")]
    InvalidUtf8,
    /// Items nest deeper than the reader allows.
    #[error("nests too deeply")]
    TooDeep,
    /// More bytes follow the item.
    #[error("has more bytes after its item")]
    TrailingBytes,
}

/// Reads heads and strings from the front of some bytes. Copy it to look ahead.
///
/// The functions that decoding calls for each item are always inlined: a head then stays in registers, and the compiler merges
/// its match with the caller's. That halves the time for small bodies.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    /// Creates a reader at the start of `bytes`.
    pub fn new(bytes: &'b [u8]) -> Reader<'b> {
        Reader { rest: bytes }
    }

    /// Returns the bytes that were not read yet.
    pub fn rest(&self) -> &'b [u8] {
        self.rest
    }

    /// Returns the bytes that were read since `earlier`, an older copy of this reader.
    pub(super) fn since(&self, earlier: Reader<'b>) -> &'b [u8] {
        &earlier.rest[..earlier.rest.len() - self.rest.len()]
    }

    /// Reads the next head.
    ///
    /// # Errors
    ///
    /// If the bytes end, or the head is reserved.
    #[inline(always)]
    pub fn head(&mut self) -> Result<Head, Malformed> {
        let [first] = self.array()?;
        let info = first & 0x1f;
        Ok(match first >> 5 {
            0 => Head::Unsigned(self.argument(info)?),
            1 => Head::Negative(self.argument(info)?),
            2 => Head::Bytes(self.length(info)?),
            3 => Head::Text(self.length(info)?),
            4 => Head::Array(self.length(info)?),
            5 => Head::Map(self.length(info)?),
            6 => Head::Tag(self.argument(info)?),
            _ => self.simple(info)?,
        })
    }

    /// Reads a break, if it is next. Returns whether it was.
    ///
    /// # Errors
    ///
    /// If the bytes end.
    #[inline(always)]
    pub fn at_break(&mut self) -> Result<bool, Malformed> {
        match self.rest {
            [] => Err(Malformed::Truncated),
            [0xff, rest @ ..] => {
                self.rest = rest;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Reads the content of a byte string after its head: borrowed, if the length is definite.
    ///
    /// # Errors
    ///
    /// If the bytes end within it, or a chunk is not a byte string.
    #[inline(always)]
    pub fn bytes(&mut self, length: Option<u64>) -> Result<Cow<'b, [u8]>, Malformed> {
        if let Some(length) = length {
            return Ok(Cow::Borrowed(self.slice(length)?));
        }
        let mut whole = Vec::new();
        while !self.at_break()? {
            let Head::Bytes(Some(length)) = self.head()? else { return Err(Malformed::InvalidChunk) };
            whole.extend_from_slice(self.slice(length)?);
        }
        Ok(Cow::Owned(whole))
    }

    /// Reads the content of a text after its head: borrowed, if the length is definite.
    ///
    /// # Errors
    ///
    /// If the bytes end within it, a chunk is not a text, or it is not UTF-8.
    #[inline(always)]
    pub fn text(&mut self, length: Option<u64>) -> Result<Cow<'b, str>, Malformed> {
        if let Some(length) = length {
            return Ok(Cow::Borrowed(self.utf8(length)?));
        }
        let mut whole = String::new();
        while !self.at_break()? {
            let Head::Text(Some(length)) = self.head()? else { return Err(Malformed::InvalidChunk) };
            whole.push_str(self.utf8(length)?);
        }
        Ok(Cow::Owned(whole))
    }

    /// Skips one whole item that nests at most `depth` levels deep. Does not check that text is UTF-8.
    ///
    /// # Errors
    ///
    /// If no well-formed item is next, or it nests deeper.
    pub fn skip(&mut self, depth: usize) -> Result<(), Malformed> {
        match self.head()? {
            Head::Bytes(None) => self.skip_chunks(|head| matches!(head, Head::Bytes(Some(_)))),
            Head::Text(None) => self.skip_chunks(|head| matches!(head, Head::Text(Some(_)))),
            Head::Bytes(Some(length)) | Head::Text(Some(length)) => self.slice(length).map(|_| ()),
            Head::Array(length) => self.skip_items(length, 1, depth),
            Head::Map(length) => self.skip_items(length, 2, depth),
            Head::Tag(_) => self.skip(depth.checked_sub(1).ok_or(Malformed::TooDeep)?),
            Head::Break => Err(Malformed::UnexpectedBreak),
            _ => Ok(()),
        }
    }

    /// Returns the bytes of the next item, which nests at most `depth` deep.
    pub(super) fn item(&mut self, depth: usize) -> Result<&'b [u8], Malformed> {
        let before = *self;
        self.skip(depth)?;
        Ok(self.since(before))
    }

    fn skip_chunks(&mut self, fits: fn(Head) -> bool) -> Result<(), Malformed> {
        while !self.at_break()? {
            match self.head()? {
                head @ (Head::Bytes(Some(length)) | Head::Text(Some(length))) if fits(head) => self.slice(length)?,
                _ => return Err(Malformed::InvalidChunk),
            };
        }
        Ok(())
    }

    fn skip_items(&mut self, length: Option<u64>, width: usize, depth: usize) -> Result<(), Malformed> {
        let inside = depth.checked_sub(1).ok_or(Malformed::TooDeep)?;
        let mut left = length;
        loop {
            match &mut left {
                Some(0) => return Ok(()),
                Some(left) => *left -= 1,
                None if self.at_break()? => return Ok(()),
                None => {}
            }
            for _ in 0..width {
                self.skip(inside)?;
            }
        }
    }

    #[inline(always)]
    fn length(&mut self, info: u8) -> Result<Option<u64>, Malformed> {
        if info == 31 { Ok(None) } else { self.argument(info).map(Some) }
    }

    #[inline(always)]
    fn argument(&mut self, info: u8) -> Result<u64, Malformed> {
        Ok(match info {
            0..=23 => u64::from(info),
            24 => u64::from(u8::from_be_bytes(self.array()?)),
            25 => u64::from(u16::from_be_bytes(self.array()?)),
            26 => u64::from(u32::from_be_bytes(self.array()?)),
            27 => u64::from_be_bytes(self.array()?),
            _ => return Err(Malformed::ReservedHead),
        })
    }

    #[inline(always)]
    fn simple(&mut self, info: u8) -> Result<Head, Malformed> {
        Ok(match info {
            20 => Head::Bool(false),
            21 => Head::Bool(true),
            22 => Head::Null,
            23 => Head::Undefined,
            0..=19 => Head::Simple(info),
            24 => match self.array()? {
                [value @ 32..=255] => Head::Simple(value),
                _ => return Err(Malformed::ReservedHead),
            },
            25 => Head::Float(half::f16::from_be_bytes(self.array()?).to_f64()),
            26 => Head::Float(f64::from(f32::from_be_bytes(self.array()?))),
            27 => Head::Float(f64::from_be_bytes(self.array()?)),
            31 => Head::Break,
            _ => return Err(Malformed::ReservedHead),
        })
    }

    #[inline(always)]
    fn utf8(&mut self, length: u64) -> Result<&'b str, Malformed> {
        std::str::from_utf8(self.slice(length)?).map_err(|_| Malformed::InvalidUtf8)
    }

    #[inline(always)]
    fn slice(&mut self, length: u64) -> Result<&'b [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed::Truncated)?;
        let (slice, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(slice)
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(*array)
    }
}
