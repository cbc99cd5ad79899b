//! Tests of the whole codec: envelopes to frames and back.
#![allow(clippy::unwrap_used)]

mod limits;
mod properties;
mod vectors;

use bytes::Bytes;

use super::{
    super::{
        envelope::{Envelope, Priority, Request, RequestFlags},
        ids::CallNumber,
        method::MethodName,
        streams::Streams,
    },
    *,
};

/// Reads the messages as `recipient`.
fn read_all(messages: &[Frames], recipient: Recipient) -> Vec<Result<Envelope, EnvelopeError>> {
    messages.iter().flat_map(|frames| read(&frames.to_vec(), recipient).collect::<Vec<_>>()).collect()
}

/// Writes these envelopes, and returns the messages.
fn bundled<'a>(envelopes: impl IntoIterator<Item = &'a Envelope>) -> Vec<Frames> {
    let mut bundler = Bundler::new();
    envelopes.into_iter().for_each(|envelope| bundler.push(envelope));
    bundler.take().collect()
}

/// Creates a request with a body of this size.
fn request(number: u64, body_bytes: usize) -> Envelope {
    Envelope::Request(Request {
        number: CallNumber(number),
        method: MethodName::parse("calculator.add").unwrap(),
        timeout: None,
        effect: None,
        priority: Priority::Normal,
        flags: RequestFlags::default(),
        key: None,
        streams: Streams::NONE,
        done_below: CallNumber(0),
        extensions: Default::default(),
        body: vec![0; body_bytes].into(),
    })
}
