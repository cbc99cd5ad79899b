//! The reader of bundles.

use std::ops::Range;

use bytes::Bytes;

use super::super::{
    envelope::Envelope,
    header::{Cursor, EncodingError, EnvelopeError, EnvelopeErrorReason, Header, HeaderError, Recipient, major},
    limits::{BUNDLE_BYTES_MAX, BUNDLE_ENVELOPES_MAX},
};

const WRONG_FRAMES: &str = "a message must have one frame (a bundle) or two (a header and its body)";
const EMPTY: &str = "the first frame is empty: connect a DEALER, and send no delimiter";
const TOO_MANY: &str = "a bundle must not have more than 64 envelopes; the rest was dropped";
const NO_BODY: EncodingError = EncodingError("a header must be followed by its body, a byte string");
const NOT_ALONE: &str = "a header whose body has a frame of its own must be alone in the first frame";

/// Reads the envelopes of one message, in order. Bodies and texts are slices of the frames, except for bodies that are a small part of
/// a frame larger than a bundle's.
///
/// It never panics, and its work is linear in the bytes of the frames. It ends after the last envelope, or after an error that makes the
/// rest of the frame unreadable.
pub fn read(frames: &[Bytes], recipient: Recipient) -> Envelopes<'_> {
    let rest = match frames {
        [first, ..] if first.is_empty() && frames.len() <= 2 => Rest::Malformed(EMPTY),
        [bundle] => Rest::Bundle { frame: bundle, at: 0, count: 0 },
        [header, body] => Rest::Large { header, body },
        _ => Rest::Malformed(WRONG_FRAMES),
    };
    Envelopes { rest, recipient, header: Header::new() }
}

/// The iterator of [`read`]: each envelope, or the error of an envelope that is not accepted.
#[derive(Clone, Debug)]
pub struct Envelopes<'a> {
    rest: Rest<'a>,
    recipient: Recipient,
    /// The last header. It is kept because creating a new one costs as much as reading it.
    header: Header,
}

/// What is left to read.
#[derive(Clone, Debug)]
enum Rest<'a> {
    Bundle { frame: &'a Bytes, at: usize, count: usize },
    Large { header: &'a Bytes, body: &'a Bytes },
    Malformed(&'static str),
    Nothing,
}

impl Iterator for Envelopes<'_> {
    type Item = Result<Envelope, EnvelopeError>;

    fn next(&mut self) -> Option<Self::Item> {
        match std::mem::replace(&mut self.rest, Rest::Nothing) {
            Rest::Bundle { frame, at, .. } if at == frame.len() => None,
            Rest::Bundle { count: BUNDLE_ENVELOPES_MAX, .. } => Some(Err(malformed(TOO_MANY))),
            Rest::Bundle { frame, at, count } => Some(self.read_one(frame, at, count)),
            Rest::Large { header, body } => Some(self.read_large(header, body.clone())),
            Rest::Malformed(reason) => Some(Err(malformed(reason))),
            Rest::Nothing => None,
        }
    }
}

impl std::iter::FusedIterator for Envelopes<'_> {}

impl<'a> Envelopes<'a> {
    /// Reads the envelope at offset `at` of a bundle, after `count` others. If its end is known, the next one is read from there.
    fn read_one(&mut self, frame: &'a Bytes, at: usize, count: usize) -> Result<Envelope, EnvelopeError> {
        if let Err(HeaderError { error, end }) = self.header.read(frame, at, self.recipient) {
            let Some(body) = end.and_then(|end| find_body(frame, end).ok()) else { return Err(error) };
            self.rest = Rest::Bundle { frame, at: body.end, count: count + 1 };
            return Err(EnvelopeError { body_bytes: body.len() as u64, ..error });
        }
        let body = find_body(frame, self.header.end).map_err(|error| self.header.error(error.into()))?;
        self.rest = Rest::Bundle { frame, at: body.end, count: count + 1 };
        self.envelope(frame, take_body(frame, body))
    }

    fn read_large(&mut self, frame: &Bytes, body: Bytes) -> Result<Envelope, EnvelopeError> {
        let body_bytes = body.len() as u64;
        self.header.read(frame, 0, self.recipient).map_err(|header| EnvelopeError { body_bytes, ..header.error })?;
        if self.header.end != frame.len() {
            return Err(self.header.error(EnvelopeErrorReason::Malformed(NOT_ALONE)));
        }
        self.envelope(frame, body)
    }

    fn envelope(&mut self, frame: &Bytes, body: Bytes) -> Result<Envelope, EnvelopeError> {
        let body_bytes = body.len() as u64;
        let mut read = self.header.envelope(frame, body, self.recipient);
        // Changed in place: an envelope is large, and must not be copied on its way to its handler.
        if let Err(error) = &mut read {
            error.body_bytes = body_bytes;
        }
        read
    }
}

/// Returns the range of the content of the byte string at `at`.
fn find_body(frame: &[u8], at: usize) -> Result<Range<usize>, EncodingError> {
    Cursor::new(frame, at).string(major::BYTES)?.ok_or(NO_BODY)
}

/// Returns a body of a bundle: a slice of its frame, unless that would keep far more memory alive than the body. A frame may be as large
/// as a message, and a body that is kept for long would keep all of it.
fn take_body(frame: &Bytes, body: Range<usize>) -> Bytes {
    match body.len() {
        // An empty slice would hold a reference to the frame.
        0 => Bytes::new(),
        bytes if frame.len() > BUNDLE_BYTES_MAX && bytes < frame.len() / 2 => Bytes::copy_from_slice(&frame[body]),
        _ => frame.slice(body),
    }
}

/// Creates the error for bytes that are not an envelope at all.
fn malformed(reason: &'static str) -> EnvelopeError {
    EnvelopeErrorReason::Malformed(reason).into()
}
