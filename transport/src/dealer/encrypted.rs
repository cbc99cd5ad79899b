//! A DEALER with CURVE, on the ZMTP codec of the core.

use std::{collections::VecDeque, future, io};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use callboard_core::{
    text::HumanDuration,
    wire::{bundle::Frames, limits::MESSAGE_BYTES_MAX},
    zmtp::{Decoder, Encoder, Event, FrameKind, Message, Violation, curve::CurvePeer},
};
use futures::FutureExt;
use tokio::time;
use zeromq::Endpoint;

use super::{
    endpoint::network_error,
    error::{ConnectionLost, DealerError, DealerErrorKind},
    limits::{CONNECT_TIMEOUT, UNSENT_MAX},
    stream::{self, ReadHalf, WriteHalf},
};
use crate::curve::CurveKeys;

/// The limit of encrypted bytes that wait for the system's socket: another message, of any size, is encrypted below it. High enough
/// to keep a fast network busy; low enough that a peer that does not read costs little memory.
const ENCRYPTED_BYTES_MAX: usize = 1024 * 1024;
/// The space for one read.
const READ_BYTES: usize = 64 * 1024;
/// A buffer that has grown above this is given back when it is empty.
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// A DEALER with CURVE. There is no task beside the driver's: it reads in [`EncryptedDealer::receive`] and writes in
/// [`EncryptedDealer::flush`].
pub(super) struct EncryptedDealer {
    inbound: Inbound,
    outbound: Outbound,
    peer: CurvePeer,
    /// The reason, once the connection is lost.
    lost: Option<ConnectionLost>,
}

/// The reading side.
struct Inbound {
    reader: ReadHalf,
    decoder: Decoder,
    /// Bytes that were read and not decoded.
    input: Bytes,
    /// The buffer that small frames are read into. Messages are copies of it, since decrypting changes bytes.
    block: BytesMut,
}

/// The writing side.
struct Outbound {
    writer: WriteHalf,
    encoder: Encoder,
    /// Bytes for the system's socket.
    bytes: BytesMut,
    /// Messages that are not encrypted yet, oldest first.
    messages: VecDeque<Frames>,
    /// Why nothing more can be written. What the peer has sent may still be read.
    failure: Option<ConnectionLost>,
}

impl EncryptedDealer {
    /// Connects to `endpoint`, which `address` names, and makes the handshake.
    pub(super) async fn connect(
        address: &str,
        endpoint: &Endpoint,
        keys: &CurveKeys,
    ) -> Result<EncryptedDealer, DealerError> {
        let (inbound, outbound, peer) = handshake(address, endpoint, Some(keys)).await?;
        let peer = peer.ok_or_else(|| refused(address, &inbound.decoder, Violation::PlainRefused))?;
        Ok(EncryptedDealer { inbound, outbound, peer, lost: None })
    }

    /// Returns the identity that the peer has proved.
    pub(super) fn peer(&self) -> CurvePeer {
        self.peer
    }

    /// Waits for the next message, and meanwhile writes.
    ///
    /// # Cancel safety
    /// Cancel safe: what was read or written is recorded before the next wait.
    pub(super) async fn receive(&mut self) -> Result<Vec<Bytes>, ConnectionLost> {
        loop {
            self.flush();
            if let Some(message) = self.decode() {
                return Ok(message);
            }
            if let Some(lost) = &self.lost {
                return Err(lost.clone());
            }
            self.transfer().await;
        }
    }

    /// Waits until something is read, or more can be written.
    async fn transfer(&mut self) {
        let (inbound, outbound) = (&mut self.inbound, &self.outbound);
        let result = tokio::select! {
            biased;
            // Cancel safe: a read that is dropped has read nothing.
            result = inbound.read() => result.map_err(ConnectionLost::new),
            // Cancel safe: takes nothing.
            () = outbound.failed() => Err(outbound.failure.clone().expect("it has failed")),
            // Cancel safe: takes nothing; the next flush writes.
            result = outbound.writer.writable(), if !outbound.bytes.is_empty() => result.map_err(ConnectionLost::new),
        };
        self.lost = result.err();
    }

    /// Returns the next message if it has already arrived.
    pub(super) fn try_receive(&mut self) -> Option<Vec<Bytes>> {
        loop {
            if let Some(message) = self.decode() {
                return Some(message);
            }
            if self.lost.is_some() {
                return None;
            }
            let result = self.inbound.read().now_or_never()?;
            self.lost = result.err().map(ConnectionLost::new);
        }
    }

    /// Adds a message to those that are sent at the next flush.
    pub(super) fn send(&mut self, frames: Frames) {
        if self.lost.is_some() {
            return;
        }
        if self.outbound.messages.len() >= UNSENT_MAX {
            self.lost = Some(ConnectionLost::peer_does_not_read());
            return;
        }
        self.outbound.messages.push_back(frames);
    }

    /// Encrypts and writes without waiting, until the system's socket takes no more.
    pub(super) fn flush(&mut self) {
        if self.lost.is_none() {
            self.outbound.flush();
        }
    }

    /// Returns the number of messages that are not encrypted yet.
    pub(super) fn unsent(&self) -> usize {
        self.outbound.messages.len()
    }

    /// Takes the next message out of the bytes that were read.
    fn decode(&mut self) -> Option<Vec<Bytes>> {
        while self.lost.is_none() {
            match self.inbound.next_event() {
                Ok(None) => return None,
                Ok(Some(Event::Message(message))) => return Some(frames(&message)),
                Ok(Some(Event::Command(content))) => self.outbound.send_command(&content),
                Ok(Some(_)) => {}
                Err(violation) => self.lost = Some(ConnectionLost::new(format!("the peer violated ZMTP: {violation}"))),
            }
        }
        None
    }
}

/// Connects, and makes the handshake: without encryption if there are no keys.
///
/// # Cancel safety
/// Dropping the future closes the connection.
async fn handshake(
    address: &str,
    endpoint: &Endpoint,
    keys: Option<&CurveKeys>,
) -> Result<(Inbound, Outbound, Option<CurvePeer>), DealerError> {
    time::timeout(CONNECT_TIMEOUT, attempt(address, endpoint, keys)).await.unwrap_or_else(|_| {
        let text = format!("no ZeroMQ handshake within {}", HumanDuration(CONNECT_TIMEOUT));
        Err(network_error(address, io::Error::new(io::ErrorKind::TimedOut, text)))
    })
}

async fn attempt(
    address: &str,
    endpoint: &Endpoint,
    keys: Option<&CurveKeys>,
) -> Result<(Inbound, Outbound, Option<CurvePeer>), DealerError> {
    let failed = |error| network_error(address, error);
    let (reader, writer) = stream::connect(endpoint).await.map_err(failed)?;
    let decoder = Decoder::client(keys.map(CurveKeys::client), MESSAGE_BYTES_MAX);
    let mut outbound = Outbound::new(writer, decoder.first_bytes());
    let mut inbound = Inbound { reader, decoder, input: Bytes::new(), block: BytesMut::new() };
    loop {
        outbound.write_all().await.map_err(failed)?;
        match inbound.next_event() {
            Ok(Some(Event::Transmit(bytes))) => outbound.bytes.extend_from_slice(&bytes),
            Ok(Some(Event::HandshakeDone { curve })) => {
                outbound.encoder = inbound.decoder.take_encoder();
                return Ok((inbound, outbound, curve.map(|curve| *curve)));
            }
            Ok(Some(_)) => return Err(refused(address, &inbound.decoder, Violation::UnexpectedCommand)),
            Ok(None) => inbound.read().await.map_err(failed)?,
            Err(violation) => return Err(refused(address, &inbound.decoder, violation)),
        }
    }
}

/// Returns why a broker rejects a connection without encryption, if it does. zeromq does not report the reason that a broker gives.
pub(super) async fn plain_rejection(address: &str, endpoint: &Endpoint) -> Option<DealerError> {
    handshake(address, endpoint, None).await.err().filter(|error| error.kind() == DealerErrorKind::Rejected)
}

impl Inbound {
    fn next_event(&mut self) -> Result<Option<Event>, Violation> {
        self.decoder.next(&mut self.input)
    }

    /// Reads once: the bytes of a large frame into that frame, all others into the block.
    ///
    /// # Errors
    /// The end of the stream is one.
    ///
    /// # Cancel safety
    /// Cancel safe: a read that is dropped has read nothing, and the kept bytes stay in `input`.
    async fn read(&mut self) -> io::Result<()> {
        let count = if let Some(mut space) = self.decoder.large_frame_buffer() {
            self.reader.read(&mut space).await?
        } else {
            // Out of the block, so that its memory can be used again.
            self.input = Bytes::copy_from_slice(&self.input);
            self.block.clear();
            self.block.reserve(self.input.len() + READ_BYTES);
            self.block.put_slice(&self.input);
            let count = self.reader.read(&mut (&mut self.block).limit(READ_BYTES)).await?;
            self.input = self.block.split().freeze();
            count
        };
        if count == 0 { Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed it")) } else { Ok(()) }
    }
}

impl Outbound {
    fn new(writer: WriteHalf, first_bytes: Bytes) -> Outbound {
        Outbound {
            writer,
            encoder: Encoder::default(),
            bytes: BytesMut::from(first_bytes),
            messages: VecDeque::new(),
            failure: None,
        }
    }

    fn send_command(&mut self, content: &[u8]) {
        let written = self.encoder.write_frame(FrameKind::Command, content, &mut self.bytes);
        self.failure = self.failure.take().or(written.err().map(ConnectionLost::new));
    }

    /// Encrypts and writes without waiting.
    fn flush(&mut self) {
        if self.failure.is_none() {
            self.failure = self.try_flush().err();
        }
        if self.failure.is_some() {
            self.messages.clear();
            self.bytes.clear();
        }
    }

    /// Waits until writing has failed. Never completes otherwise.
    async fn failed(&self) {
        if self.failure.is_none() {
            future::pending::<()>().await;
        }
    }

    fn try_flush(&mut self) -> Result<(), ConnectionLost> {
        loop {
            while self.bytes.len() < ENCRYPTED_BYTES_MAX
                && let Some(frames) = self.messages.pop_front()
            {
                self.encoder.write_message(&frames, &mut self.bytes).map_err(ConnectionLost::new)?;
            }
            if self.bytes.is_empty() {
                return Ok(());
            }
            match self.write() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(ConnectionLost::new(error)),
            }
        }
    }

    /// Writes what the system's socket takes now.
    fn write(&mut self) -> io::Result<()> {
        let count = self.writer.try_write(&self.bytes)?;
        self.bytes.advance(count);
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT_BYTES_MAX {
            self.bytes = BytesMut::new();
        }
        Ok(())
    }

    /// Waits until everything is written.
    async fn write_all(&mut self) -> io::Result<()> {
        while !self.bytes.is_empty() {
            self.writer.writable().await?;
            match self.write() {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

fn frames(message: &Message) -> Vec<Bytes> {
    message.frames().to_vec()
}

/// Returns the error of a handshake that failed.
fn refused(address: &str, decoder: &Decoder, violation: Violation) -> DealerError {
    match (violation, decoder.peer_error()) {
        (Violation::PeerError, Some(reason)) => DealerError::new(DealerErrorKind::Rejected, address, reason),
        (Violation::PlainRefused, _) => {
            let text = "it does not offer encryption, and this program has a server key: \
                        start the broker with --curve-secret-file, or remove the server key";
            DealerError::new(DealerErrorKind::Encryption, address, text)
        }
        (Violation::Curve(_), _) => DealerError::new(DealerErrorKind::Encryption, address, violation.to_string()),
        _ => DealerError::new(DealerErrorKind::Handshake, address, violation.to_string()),
    }
}
