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
    body,
    wire::{
        Bundler, Envelope,
        bundle::{self, Recipient},
        handshake::{Hello, Role},
        ids::{ConnectionNumber, SessionId},
    },
    zmtp::{FrameHeader, FrameKind, greeting},
};

pub(crate) const LAST: u8 = 0;
pub(crate) const MORE: u8 = 1;
const LONG: u8 = 2;
pub(crate) const COMMAND: u8 = 4;

/// Longer than any operation takes. It ends an attack that would hang.
const DEADLINE: Duration = Duration::from_secs(60);

/// A connection to the broker.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    /// The envelopes of the last bundle that were not returned yet.
    received: VecDeque<Envelope>,
}

impl Wire {
    pub(crate) fn connect(address: &str) -> Wire {
        let stream = TcpStream::connect(address.strip_prefix("tcp://").unwrap()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Wire { stream, received: VecDeque::new() }
    }

    /// Connects and completes ZMTP's handshake.
    pub(crate) fn open(address: &str) -> Wire {
        let mut wire = Wire::connect(address);
        wire.send(&[&greeting()[..], &ready(b"")].concat()).unwrap();
        wire.read(64);
        assert!(wire.read_frame().unwrap().starts_with(b"\x05READY"));
        wire
    }

    /// Connects and authenticates.
    pub(crate) fn join(address: &str, role: &str) -> Wire {
        let mut wire = Wire::open(address);
        wire.send_envelope(&hello(role, session()));
        wire.send_envelope(&Envelope::Proof(Bytes::new()));
        for kind in ["Challenge", "Welcome"] {
            let received = wire.read_envelope();
            assert!(format!("{received:?}").starts_with(kind), "{received:?}");
        }
        wire
    }

    /// Sends these bytes. Fails if the broker has closed the connection.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let result = self.stream.write_all(bytes);
        if let Err(error) = &result {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "the broker does not read");
        }
        result
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
        let (end, mut unsent) = (Instant::now() + span, Bytes::new());
        while Instant::now() < end {
            if unsent.is_empty() {
                unsent = next();
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

    /// Reads the content of the next frame; `None` if the broker has closed the connection.
    pub(crate) fn read_frame(&mut self) -> Option<Vec<u8>> {
        let mut header = vec![0; 2];
        if let Err(error) = self.stream.read_exact(&mut header) {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "the broker neither sends nor closes");
            return None;
        }
        if header[0] & LONG != 0 {
            header.extend(self.read(7));
        }
        let size = FrameHeader::read(&header).unwrap().unwrap().size;
        Some(self.read(usize::try_from(size).unwrap()))
    }

    /// Reads the next envelope other than pings and credit. It must be in one frame.
    pub(crate) fn read_envelope(&mut self) -> Envelope {
        loop {
            match self.received.pop_front() {
                Some(Envelope::Ping(_) | Envelope::Credit(_)) => {}
                Some(envelope) => return envelope,
                None => {
                    let frames = [Bytes::from(self.read_frame().expect("the connection is open"))];
                    self.received.extend(bundle::read(&frames, Recipient::Peer).map(Result::unwrap));
                }
            }
        }
    }

    /// Returns whether the broker has closed the connection. Sends a command that has no effect, because the attacker must not read.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.send(&command("PONG", b"")).is_err()
    }

    /// Reads until the broker closes or resets the connection. Returns the bytes before that.
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let mut received = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut received) {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "the broker does not close it");
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
        role: if role == "client" { Role::Client } else { Role::Worker },
        session,
        connection: ConnectionNumber(1),
        heartbeat_ms: 600_000,
        nonce: None,
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
