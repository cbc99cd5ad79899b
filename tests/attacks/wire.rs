//! A raw connection: the attacker chooses every byte.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use bytes::{Buf as _, Bytes};
use callboard::core::{
    auth::{HelloTranscript, Nonce, Prover},
    body,
    wire::{
        Bundler, Envelope,
        bundle::{self, Recipient},
        handshake::{ChallengeResponse, Hello, Role},
        ids::{ConnectionNumber, SessionId},
    },
    zmtp::{FrameHeader, FrameKind, greeting},
};

use crate::{channel::Channel, mode::Mode};

pub(crate) const LAST: u8 = 0;
pub(crate) const MORE: u8 = 1;
const LONG: u8 = 2;
pub(crate) const COMMAND: u8 = 4;

/// The attacker's part of the proofs.
const NONCE: [u8; 32] = [3; 32];

/// What a flood sends first, in calls of its function.
const ROUNDS_IN_ADVANCE: usize = 3;

/// Longer than any operation takes. It ends an attack that would hang.
const DEADLINE: Duration = Duration::from_secs(60);

/// An address of the attacked broker.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: String,
    pub(crate) mode: Mode,
}

/// A connection to the broker.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    mode: Mode,
    /// The encryption, after the handshake of CURVE.
    channel: Option<Channel>,
    /// The envelopes of the last bundle that were not returned yet.
    received: VecDeque<Envelope>,
}

impl Wire {
    pub(crate) fn connect(endpoint: &Endpoint) -> Wire {
        let stream = TcpStream::connect(endpoint.address.strip_prefix("tcp://").unwrap()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Wire { stream, mode: endpoint.mode, channel: None, received: VecDeque::new() }
    }

    /// Connects and completes ZMTP's handshake, which for CURVE is that of an encrypted connection.
    pub(crate) fn open(endpoint: &Endpoint) -> Wire {
        if endpoint.mode != Mode::Curve {
            return Wire::open_as(endpoint, b"");
        }
        let mut wire = Wire::connect(endpoint);
        wire.channel = Some(Channel::open(endpoint.mode, |bytes| {
            wire.send_raw(bytes).unwrap();
            wire.read_some().expect("the connection is open")
        }));
        wire
    }

    /// Connects with CURVE and sends an INITIATE that `change` has changed.
    pub(crate) fn open_with_change(endpoint: &Endpoint, change: impl FnOnce(&mut Vec<u8>)) -> Wire {
        let mut wire = Wire::connect(endpoint);
        let mut initiate = Channel::initiate(endpoint.mode, |bytes| {
            wire.send_raw(bytes).unwrap();
            wire.read_some().expect("the connection is open")
        });
        change(&mut initiate);
        wire.send_raw(&initiate).unwrap();
        wire
    }

    /// Connects without encryption, with a proposed identity, and completes ZMTP's handshake.
    pub(crate) fn open_as(endpoint: &Endpoint, identity: &[u8]) -> Wire {
        let mut wire = Wire::connect(endpoint);
        wire.send_raw(&[&greeting()[..], &ready(identity)].concat()).unwrap();
        wire.read(64);
        assert!(wire.read_message().unwrap()[0].starts_with(b"\x05READY"));
        wire
    }

    /// Connects and authenticates.
    pub(crate) fn join(endpoint: &Endpoint, role: &str) -> Wire {
        let mut wire = Wire::open(endpoint);
        wire.authenticate(role);
        wire
    }

    /// Authenticates with a session of its own.
    pub(crate) fn authenticate(&mut self, role: &str) {
        let answer = self.authenticate_as(role, session());
        assert!(matches!(answer, Envelope::Welcome(_)), "{answer:?}");
    }

    /// Sends a hello and what the challenge asks for. Returns the answer of the broker.
    pub(crate) fn authenticate_as(&mut self, role: &str, session: SessionId) -> Envelope {
        let hello = hello(role, session);
        self.send_envelope(&hello);
        let (Envelope::Hello(hello), Envelope::Challenge(challenge)) = (hello, self.read_envelope()) else {
            panic!("no challenge");
        };
        self.send_envelope(&Envelope::Proof(self.proof(role_of(role), &hello, &challenge)));
        self.read_envelope()
    }

    /// Returns the body of the proof: empty, if the broker has no authkey.
    fn proof(&self, role: Role, hello: &[u8], challenge: &[u8]) -> Bytes {
        let Some(key) = self.mode.authkey() else { return Bytes::new() };
        let transcript = HelloTranscript::new(role, hello, None).with_challenge(challenge);
        body::encode(&ChallengeResponse { proof: transcript.prove(Prover::Peer, &key) }).unwrap()
    }

    /// Sends these frames, encrypted if the connection is. Fails if the broker has closed the connection.
    pub(crate) fn send(&mut self, frames: &[u8]) -> io::Result<()> {
        let bytes = self.sealed(frames);
        self.send_raw(&bytes)
    }

    /// Sends these bytes as they are. Fails if the broker has closed the connection.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        let result = self.stream.write_all(bytes);
        if let Err(error) = &result {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "the broker does not read");
        }
        result
    }

    /// Returns these frames as they must be sent next: encrypted if the connection is.
    pub(crate) fn sealed(&mut self, frames: &[u8]) -> Vec<u8> {
        self.channel.as_mut().map_or_else(|| frames.to_vec(), |channel| channel.seal(frames))
    }

    /// Returns whether the connection is encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.channel.is_some()
    }

    pub(crate) fn send_envelope(&mut self, envelope: &Envelope) {
        self.send(&encoded(envelope)).unwrap();
    }

    /// Reads and discards all answers, on a thread of its own.
    pub(crate) fn discard_answers(&self) {
        let mut answers = self.stream.try_clone().unwrap();
        thread::spawn(move || io::copy(&mut answers, &mut io::sink()).ok());
    }

    /// Sends what `next` returns, again and again, for this time or until the broker closes the connection. The broker may stop reading.
    pub(crate) fn flood(&mut self, span: Duration, mut next: impl FnMut() -> Bytes) {
        self.stream.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
        // An attacker can encrypt in advance, so that it sends at once more than the broker takes in a second.
        let mut unsent = Bytes::from((0..ROUNDS_IN_ADVANCE).flat_map(|_| self.sealed(&next())).collect::<Vec<u8>>());
        let end = Instant::now() + span;
        while Instant::now() < end {
            if unsent.is_empty() {
                unsent = self.sealed(&next()).into();
            }
            match self.stream.write(&unsent) {
                Ok(sent) => unsent.advance(sent),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    fn read(&mut self, count: usize) -> Vec<u8> {
        let mut received = vec![0; count];
        self.stream.read_exact(&mut received).unwrap();
        received
    }

    /// Reads what has arrived, at least a byte; `None` if the broker has closed the connection.
    fn read_some(&mut self) -> Option<Vec<u8>> {
        let mut received = vec![0; 64 * 1024];
        match self.stream.read(&mut received) {
            Ok(count) => received.truncate(count),
            Err(error) => {
                assert_ne!(error.kind(), ErrorKind::WouldBlock, "the broker neither sends nor closes");
                received.clear();
            }
        }
        Some(received).filter(|received| !received.is_empty())
    }

    /// Waits for this many bytes, or until the broker closes the connection or is silent for too long.
    pub(crate) fn await_bytes(&mut self, count: usize) {
        self.stream.read_exact(&mut vec![0; count]).ok();
    }

    /// Reads the frames of the next message or command; `None` if the broker has closed the connection.
    pub(crate) fn read_message(&mut self) -> Option<Vec<Bytes>> {
        if self.is_encrypted() { self.read_encrypted_message() } else { self.read_plain_message() }
    }

    fn read_encrypted_message(&mut self) -> Option<Vec<Bytes>> {
        loop {
            if let Some(message) = self.channel.as_mut()?.next_message() {
                return Some(message);
            }
            let received = self.read_some()?;
            self.channel.as_mut()?.push(&received);
        }
    }

    fn read_plain_message(&mut self) -> Option<Vec<Bytes>> {
        let mut frames = Vec::new();
        loop {
            let (kind, content) = self.read_plain_frame()?;
            frames.push(content);
            if kind != FrameKind::More {
                return Some(frames);
            }
        }
    }

    fn read_plain_frame(&mut self) -> Option<(FrameKind, Bytes)> {
        let mut header = vec![0; 2];
        if let Err(error) = self.stream.read_exact(&mut header) {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "the broker neither sends nor closes");
            return None;
        }
        if header[0] & LONG != 0 {
            header.extend(self.read(7));
        }
        let FrameHeader { kind, size, .. } = FrameHeader::read(&header).unwrap().unwrap();
        Some((kind, self.read(usize::try_from(size).unwrap()).into()))
    }

    /// Reads the next envelope other than pings and credit.
    pub(crate) fn read_envelope(&mut self) -> Envelope {
        loop {
            match self.received.pop_front() {
                Some(Envelope::Ping(_) | Envelope::Credit(_)) => {}
                Some(envelope) => return envelope,
                None => {
                    let frames = self.read_message().expect("the connection is open");
                    self.received.extend(bundle::read(&frames, Recipient::Peer).map(Result::unwrap));
                }
            }
        }
    }

    /// Returns whether the broker has closed the connection. Sends a command that has no effect, because the attacker must not read.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.send(&command("PONG", b"")).is_err()
    }

    /// Reads until the broker closes or resets the connection. Returns the bytes before that, decrypted if the connection is encrypted.
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let mut received = Vec::new();
        if self.is_encrypted() {
            while let Some(message) = self.read_message() {
                received.extend(message.concat());
            }
        }
        while let Some(more) = self.read_some() {
            received.extend(more);
        }
        received
    }
}

/// Returns a session id that no other peer has.
pub(crate) fn session() -> SessionId {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let mut session = [0xa7; 16];
    session[..8].copy_from_slice(&number.to_be_bytes());
    SessionId(session)
}

/// The hello of a peer with a heartbeat interval of ten minutes.
pub(crate) fn hello(role: &str, session: SessionId) -> Envelope {
    let hello = Hello {
        versions: (2, 2),
        role: role_of(role),
        session,
        connection: ConnectionNumber(1),
        heartbeat_ms: 600_000,
        nonce: Some(Nonce(NONCE)),
        instance: "attacker".to_owned(),
        pool: None,
        pool_pid: None,
        pid: None,
        host: String::new(),
        capabilities: Vec::new(),
        message_bytes_max: None,
    };
    Envelope::Hello(body::encode(&hello).unwrap())
}

fn role_of(role: &str) -> Role {
    if role == "client" { Role::Client } else { Role::Worker }
}

/// Encodes an envelope as one message.
pub(crate) fn encoded(envelope: &Envelope) -> Vec<u8> {
    let mut bundler = Bundler::new();
    bundler.push(envelope);
    messages(&mut bundler)
}

/// Encodes the messages of a bundler.
pub(crate) fn messages(bundler: &mut Bundler) -> Vec<u8> {
    let mut out = Vec::new();
    for frames in bundler.take() {
        let kind = if frames.large.is_some() { MORE } else { LAST };
        out.extend(frame(kind, &frames.first));
        out.extend(frames.large.iter().flat_map(|large| frame(LAST, large)));
    }
    out
}

pub(crate) fn frame(flags: u8, content: &[u8]) -> Vec<u8> {
    let kind = match flags {
        LAST => FrameKind::Last,
        MORE => FrameKind::More,
        _ => FrameKind::Command,
    };
    let mut out = Vec::new();
    FrameHeader::write(kind, content.len(), &mut out);
    out.extend_from_slice(content);
    out
}

/// The header of a frame whose content is never sent.
pub(crate) fn announced(flags: u8, size: u64) -> Vec<u8> {
    [&[flags | LONG][..], &size.to_be_bytes()].concat()
}

pub(crate) fn command(name: &str, body: &[u8]) -> Vec<u8> {
    frame(COMMAND, &[&[u8::try_from(name.len()).unwrap()], name.as_bytes(), body].concat())
}

/// The READY of a DEALER that proposes an identity.
pub(crate) fn ready(identity: &[u8]) -> Vec<u8> {
    let property = |name: &str, value: &[u8]| {
        let (name_bytes, value_bytes) = (u8::try_from(name.len()).unwrap(), u32::try_from(value.len()).unwrap());
        [&[name_bytes], name.as_bytes(), &value_bytes.to_be_bytes(), value].concat()
    };
    command("READY", &[property("Socket-Type", b"DEALER"), property("Identity", identity)].concat())
}
