//! Reading bundles.

use std::ops::Range;

use bytes::Bytes;

use super::super::{
    envelope::Envelope,
    header::{Cursor, EncodingError, EnvelopeError, EnvelopeErrorReason, Header, HeaderError, Recipient, major},
    limits::{BUNDLE_BYTES_MAX, BUNDLE_ENVELOPES_MAX},
};

const WRONG_FRAMES: &str = "a message has one frame (a bundle) or two (a header and its body)";
const EMPTY: &str = "the first frame is empty: connect a DEALER, and send no delimiter";
const TOO_MANY: &str = "a bundle has at most 64 envelopes; the rest was dropped";
const NO_BODY: EncodingError = EncodingError("behind a header comes its body, a byte string");
const NOT_ALONE: &str = "a header whose body has a frame of its own is alone in the first frame";

/// Reads the frames of one message into its envelopes, in order. Bodies and texts are slices of the frames, but for bodies that
/// are a small part of a frame larger than a bundle's.
///
/// Whatever the frames hold, this does not panic, and the work is linear in their bytes. It ends with the last envelope, or with the
/// first place from which the rest of the frame cannot be read.
pub fn read(frames: &[Bytes], recipient: Recipient) -> Envelopes<'_> {
    let rest = match frames {
        [first, ..] if first.is_empty() && frames.len() <= 2 => Rest::Malformed(EMPTY),
        [bundle] => Rest::Bundle { frame: bundle, at: 0, count: 0 },
        [header, body] => Rest::Large { header, body },
        _ => Rest::Malformed(WRONG_FRAMES),
    };
    Envelopes { rest, recipient, header: Header::new() }
}

/// What [`read`] finds: envelope by envelope, each as it should be or refused.
#[derive(Clone, Debug)]
pub struct Envelopes<'a> {
    rest: Rest<'a>,
    recipient: Recipient,
    /// The header that was read last. It is kept because making one anew costs as much as reading it.
    header: Header,
}

/// What was not read yet.
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
            Rest::Bundle { count: BUNDLE_ENVELOPES_MAX, .. } => Some(Err(unread(TOO_MANY))),
            Rest::Bundle { frame, at, count } => Some(self.read_one(frame, at, count)),
            Rest::Large { header, body } => Some(self.read_large(header, body.clone())),
            Rest::Malformed(reason) => Some(Err(unread(reason))),
            Rest::Nothing => None,
        }
    }
}

impl std::iter::FusedIterator for Envelopes<'_> {}

impl<'a> Envelopes<'a> {
    /// The envelope at `at` of a bundle, behind `count` others. If it can be told where it ends, the next one is read from there.
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
        // In its place: an envelope is large, and nothing copies it on its way from here to who handles it.
        if let Err(error) = &mut read {
            error.body_bytes = body_bytes;
        }
        read
    }
}

/// The content of the byte string at `at`.
fn find_body(frame: &[u8], at: usize) -> Result<Range<usize>, EncodingError> {
    Cursor::new(frame, at).string(major::BYTES)?.ok_or(NO_BODY)
}

/// A body of a bundle: a slice of its frame, unless that would keep far more alive than itself. A frame may be as large as a message,
/// and whoever keeps one body of it for long would pay for all of it.
fn take_body(frame: &Bytes, body: Range<usize>) -> Bytes {
    match body.len() {
        // The empty slice would count a reference to the frame.
        0 => Bytes::new(),
        bytes if frame.len() > BUNDLE_BYTES_MAX && bytes < frame.len() / 2 => Bytes::copy_from_slice(&frame[body]),
        _ => frame.slice(body),
    }
}

/// Refuses what could not be read as an envelope at all.
fn unread(reason: &'static str) -> EnvelopeError {
    EnvelopeErrorReason::Malformed(reason).into()
}
