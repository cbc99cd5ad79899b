//! The attacker's side of ZMTP after the handshake: frames, encrypted if the broker uses CURVE.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use callboard::core::zmtp::{Decoder, Encoder, Event, FrameHeader};

use crate::mode::Mode;

/// An encrypted connection after the handshake.
pub(crate) struct Channel {
    decoder: Decoder,
    encoder: Encoder,
    /// Bytes that were read and not decoded.
    input: BytesMut,
    received: VecDeque<Vec<Bytes>>,
}

impl Channel {
    /// Makes the handshake of CURVE. `transfer` sends bytes and returns some of those that it receives.
    pub(crate) fn open(mode: Mode, transfer: impl FnMut(&[u8]) -> Vec<u8>) -> Channel {
        let mut handshake = Handshake::new(mode, transfer);
        while let Some(command) = handshake.next_bytes() {
            handshake.send(&command);
        }
        let Handshake { mut decoder, input, .. } = handshake;
        let encoder = decoder.take_encoder();
        Channel { decoder, encoder, input: BytesMut::from(input), received: VecDeque::new() }
    }

    /// Makes the handshake up to the INITIATE, and returns it.
    pub(crate) fn initiate(mode: Mode, transfer: impl FnMut(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let mut handshake = Handshake::new(mode, transfer);
        let hello = handshake.next_bytes().expect("the handshake begins");
        handshake.send(&hello);
        handshake.next_bytes().expect("an INITIATE follows the HELLO").into()
    }

    /// Encrypts complete frames.
    pub(crate) fn seal(&mut self, mut frames: &[u8]) -> Vec<u8> {
        let mut sealed = BytesMut::new();
        while let Some(header) = FrameHeader::read(frames).unwrap() {
            let end = header.header_bytes + usize::try_from(header.size).unwrap();
            self.encoder.write_frame(header.kind, &frames[header.header_bytes..end], &mut sealed).unwrap();
            frames = &frames[end..];
        }
        sealed.into()
    }

    /// Adds bytes that were received.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        let mut input = self.input.split().freeze();
        while let Some(event) = self.decoder.next(&mut input).unwrap() {
            if let Event::Message(message) = event {
                self.received.push_back(message.frames().to_vec());
            }
        }
        self.input.extend_from_slice(&input);
    }

    /// Takes the frames of the next message.
    pub(crate) fn next_message(&mut self) -> Option<Vec<Bytes>> {
        self.received.pop_front()
    }
}

/// The handshake of CURVE.
struct Handshake<F> {
    decoder: Decoder,
    input: Bytes,
    transfer: F,
}

impl<F: FnMut(&[u8]) -> Vec<u8>> Handshake<F> {
    fn new(mode: Mode, transfer: F) -> Handshake<F> {
        let decoder = mode.decoder();
        let greeting = decoder.first_bytes();
        let mut handshake = Handshake { decoder, input: Bytes::new(), transfer };
        handshake.send(&greeting);
        handshake
    }

    /// Sends bytes, and receives some.
    fn send(&mut self, bytes: &[u8]) {
        self.input = [&self.input[..], &(self.transfer)(bytes)].concat().into();
    }

    /// Returns the next command to send. `None`: the handshake is complete.
    fn next_bytes(&mut self) -> Option<Bytes> {
        loop {
            match self.decoder.next(&mut self.input).unwrap() {
                None => self.send(b""),
                Some(Event::Transmit(bytes)) => return Some(bytes),
                Some(Event::HandshakeDone { .. }) => return None,
                Some(other) => panic!("not a handshake: {other:?}"),
            }
        }
    }
}
