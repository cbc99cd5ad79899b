//! Reads a header in one pass into numbers and the offsets of its texts.

use std::ops::Range;

use super::{
    super::{
        kind::Kind,
        limits::{HEADER_BYTES_MAX, HEADER_KEYS_MAX},
        method::MethodName,
    },
    cursor::{Cursor, ENDS_EARLY, EncodingError},
    error::{EnvelopeError, EnvelopeErrorReason},
    extensions,
    head::major,
    keys::{self, Keys, Rule},
    recipient::Recipient,
    skip,
};

const TOO_LONG: EncodingError = EncodingError("a header must not exceed 4096 bytes");

/// The values of the known keys of one header, without types; see [`Header::envelope`].
#[derive(Clone, Debug)]
pub(in super::super) struct Header {
    pub(super) kind: Kind,
    /// The keys of the header.
    pub(super) seen: Keys,
    /// By key: the number, or the offset of the text in the frame.
    pub(super) values: [u64; keys::KEY_COUNT],
    /// By key: the length of the text in bytes.
    pub(super) text_lens: [u16; keys::KEY_COUNT],
    /// The range of all extension pairs in the frame.
    pub(super) extensions: Range<usize>,
    /// The method of the last request that had a valid one.
    pub(super) method: Option<MethodName>,
    /// The end of the header in the frame.
    pub(in super::super) end: usize,
}

/// The error of a header that was not accepted, with the end of the header, if it is known. The body follows there.
#[derive(Debug)]
pub(in super::super) struct HeaderError {
    pub(in super::super) error: EnvelopeError,
    pub(in super::super) end: Option<usize>,
}

impl Header {
    /// Creates an empty header to read into.
    pub(in super::super) fn new() -> Header {
        Header {
            kind: Kind::Hello,
            seen: Keys::default(),
            values: [0; keys::KEY_COUNT],
            text_lens: [0; keys::KEY_COUNT],
            extensions: 0..0,
            method: None,
            end: 0,
        }
    }

    /// Reads the header that begins at `at`, and replaces the one that was read before.
    ///
    /// # Errors
    /// [`HeaderError`] with the first error in the order of the bytes, or a missing key.
    pub(in super::super) fn read(&mut self, frame: &[u8], at: usize, recipient: Recipient) -> Result<(), HeaderError> {
        let window = &frame[..frame.len().min(at.saturating_add(HEADER_BYTES_MAX))];
        // Old values and lengths may stay: only those of keys in `seen` are used.
        self.seen = Keys::default();
        self.extensions = at..at;
        self.scan(&mut Cursor::new(window, at), recipient).map_err(|reason| {
            let is_cut = window.len() < frame.len() && reason == EnvelopeErrorReason::from(ENDS_EARLY);
            let reason = if is_cut { TOO_LONG.into() } else { reason };
            HeaderError { error: self.error(reason), end: skip::end_of_item(window, at) }
        })
    }

    /// Creates the error for `reason`, with the kind and the number, if they were read.
    pub(in super::super) fn error(&self, reason: EnvelopeErrorReason) -> EnvelopeError {
        EnvelopeError { kind: self.number(keys::KIND), number: self.number(keys::NUMBER), body_bytes: 0, reason }
    }

    /// Returns the number of a key, if the header has the key.
    pub(super) fn number(&self, key: u8) -> Option<u64> {
        self.seen.contains(key).then_some(self.values[usize::from(key)])
    }

    /// Returns the range of a key's text in the frame, if the header has the key.
    pub(super) fn text(&self, key: u8) -> Option<Range<usize>> {
        let start = self.number(key)? as usize;
        Some(start..start + usize::from(self.text_lens[usize::from(key)]))
    }

    fn scan(&mut self, cursor: &mut Cursor<'_>, recipient: Recipient) -> Result<(), EnvelopeErrorReason> {
        let count = match cursor.head()? {
            (major::MAP, count) if count <= HEADER_KEYS_MAX as u64 => count,
            (major::MAP, _) => return Err(EnvelopeErrorReason::Malformed("a header must not have more than 64 keys")),
            _ => return Err(EnvelopeErrorReason::Malformed("a header must be a map")),
        };
        let rule = self.scan_kind(count, cursor, recipient)?;
        let mut previous = u64::from(keys::KIND);
        for left in (1..count).rev() {
            let start = cursor.at();
            let key = cursor.key(Some(previous))?;
            if key > keys::CRITICAL_MAX {
                cursor.rewind(start);
                self.extensions = extensions::scan(cursor, left)?;
                break;
            }
            self.scan_value(key, rule, cursor)?;
            previous = key;
        }
        self.end = cursor.at();
        match rule.required.first_not_in(self.seen) {
            Some(missing) => Err(EnvelopeErrorReason::MissingKey(missing.into())),
            None if rule.allows(keys::CODE) => self.check_failure_keys(),
            None => Ok(()),
        }
    }

    /// Reads key 0, which comes first and determines which other keys are allowed.
    fn scan_kind(
        &mut self,
        count: u64,
        cursor: &mut Cursor<'_>,
        recipient: Recipient,
    ) -> Result<Rule, EnvelopeErrorReason> {
        if count == 0 || cursor.key(None)? != u64::from(keys::KIND) {
            return Err(EnvelopeErrorReason::MissingKey(keys::KIND.into()));
        }
        let number = self.scan_number(keys::KIND, cursor)?;
        if let Some(kind) = Kind::from_number(number)
            && let Some(rule) = keys::rule(kind, recipient)
        {
            self.kind = kind;
            return Ok(rule);
        }
        // With its number, a failure can be sent in response even to an unknown kind.
        if count > 1 && cursor.key(Some(keys::KIND.into()))? == u64::from(keys::NUMBER) {
            self.scan_number(keys::NUMBER, cursor)?;
        }
        Err(EnvelopeErrorReason::UnknownKind(number))
    }

    fn scan_value(&mut self, key: u64, rule: Rule, cursor: &mut Cursor<'_>) -> Result<(), EnvelopeErrorReason> {
        if key >= keys::KEY_COUNT as u64 || !keys::KNOWN.contains(key as u8) {
            let is_reserved = keys::name(key).is_some();
            return Err(if is_reserved {
                EnvelopeErrorReason::ReservedKey(key)
            } else {
                EnvelopeErrorReason::UnknownKey(key)
            });
        }
        let known = key as u8;
        match known {
            _ if !rule.allows(known) => return Err(EnvelopeErrorReason::MisplacedKey(key)),
            keys::METHOD | keys::TYPE | keys::MESSAGE | keys::WORKER | keys::KEY | keys::CALLER_NAME => {
                self.scan_text(known, cursor)?;
            }
            _ => self.scan_number(known, cursor).map(drop)?,
        }
        Ok(())
    }

    fn scan_number(&mut self, key: u8, cursor: &mut Cursor<'_>) -> Result<u64, EnvelopeErrorReason> {
        match cursor.head()? {
            (major::UNSIGNED, value) => {
                self.values[usize::from(key)] = value;
                self.seen.insert(key);
                Ok(value)
            }
            _ => Err(EnvelopeErrorReason::Value { key: key.into(), reason: "must be an unsigned integer" }),
        }
    }

    fn scan_text(&mut self, key: u8, cursor: &mut Cursor<'_>) -> Result<(), EnvelopeErrorReason> {
        let Some(place) = cursor.string(major::TEXT)? else {
            return Err(EnvelopeErrorReason::Value { key: key.into(), reason: "must be text" });
        };
        self.values[usize::from(key)] = place.start as u64;
        self.text_lens[usize::from(key)] = u16::try_from(place.len()).expect("a header is shorter than 64 KiB");
        self.seen.insert(key);
        Ok(())
    }

    /// Checks that the keys of a failure come with a code, and that a code comes with the key `executed`.
    fn check_failure_keys(&self) -> Result<(), EnvelopeErrorReason> {
        match (self.seen.contains(keys::CODE), self.seen.first_in(keys::FAILURE)) {
            (false, Some(key)) => Err(EnvelopeErrorReason::MisplacedKey(key.into())),
            (true, first) if first != Some(keys::EXECUTED) => {
                Err(EnvelopeErrorReason::MissingKey(keys::EXECUTED.into()))
            }
            _ => Ok(()),
        }
    }
}
