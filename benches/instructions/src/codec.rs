//! Encoding and decoding of envelopes.

use std::hint::black_box;

use callboard_core::wire::{
    Bundler, Envelope,
    bundle::{self, Recipient},
};

use crate::samples;

/// Encodes these envelopes as one message.
pub(crate) fn encode(envelopes: Vec<Envelope>) -> Box<dyn FnMut()> {
    let mut bundler = Bundler::new();
    Box::new(move || {
        black_box(&envelopes).iter().for_each(|envelope| bundler.push(envelope));
        bundler.take().for_each(|message| drop(black_box(message)));
    })
}

/// Decodes a message with these envelopes as a broker does.
pub(crate) fn decode_for_broker(envelopes: Vec<Envelope>) -> Box<dyn FnMut()> {
    decode(envelopes, Recipient::Broker)
}

/// Decodes a message with these envelopes as a client or worker does.
pub(crate) fn decode_for_peer(envelopes: Vec<Envelope>) -> Box<dyn FnMut()> {
    decode(envelopes, Recipient::Peer)
}

fn decode(envelopes: Vec<Envelope>, recipient: Recipient) -> Box<dyn FnMut()> {
    let frames = samples::frames(&envelopes);
    Box::new(move || {
        for envelope in bundle::read(black_box(&frames), recipient) {
            drop(black_box(envelope.expect("the library wrote it")));
        }
    })
}
