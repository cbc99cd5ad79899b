//! A raw connection: the attacker chooses every byte.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
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

/// Longer than anything takes; it ends an attack that would hang.
const DEADLINE: Duration = Duration::from_secs(60);

/// A connection to the broker.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    /// Of a bundle, what was not given out yet.
    heard: VecDeque<Envelope>,
}

impl Wire {
    pub(crate) fn connect(address: &str) -> Wire {
        let stream = TcpStream::connect(address.strip_prefix("tcp://").unwrap()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Wire { stream, heard: VecDeque::new() }
    }

    /// Connects, and is through ZMTP's handshake.
    pub(crate) fn open(address: &str) -> Wire {
        let mut wire = Wire::connect(address);
        wire.say(&[&greeting()[..], &ready(b"")].concat()).unwrap();
        wire.hear(64);
        assert!(wire.hear_frame().unwrap().starts_with(b"\x05READY"));
        wire
    }

    /// Connects, and is let in.
    pub(crate) fn join(address: &str, role: &str) -> Wire {
        let mut wire = Wire::open(address);
        wire.say_envelope(&hello(role, session()));
        wire.say_envelope(&Envelope::Proof(Bytes::new()));
        for kind in ["Challenge", "Welcome"] {
            let heard = wire.hear_envelope();
            assert!(format!("{heard:?}").starts_with(kind), "{heard:?}");
        }
        wire
    }

    /// Says it, unless the broker has closed the connection.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        let said = self.stream.write_all(bytes);
        if let Err(error) = &said {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "the broker does not read");
        }
        said
    }

    pub(crate) fn say_envelope(&mut self, envelope: &Envelope) {
        self.say(&encoded(envelope)).unwrap();
    }

    fn hear(&mut self, count: usize) -> Vec<u8> {
        let mut heard = vec![0; count];
        self.stream.read_exact(&mut heard).unwrap();
        heard
    }

    /// The content of the next frame; `None`: the broker has closed the connection.
    pub(crate) fn hear_frame(&mut self) -> Option<Vec<u8>> {
        let mut header = vec![0; 2];
        if let Err(error) = self.stream.read_exact(&mut header) {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "neither a word nor an end");
            return None;
        }
        if header[0] & LONG != 0 {
            header.extend(self.hear(7));
        }
        let size = FrameHeader::read(&header).unwrap().unwrap().size;
        Some(self.hear(usize::try_from(size).unwrap()))
    }

    /// The next envelope that is no ping: one that fits in a bundle.
    pub(crate) fn hear_envelope(&mut self) -> Envelope {
        loop {
            match self.heard.pop_front() {
                Some(Envelope::Ping(_) | Envelope::Credit(_)) => {}
                Some(envelope) => return envelope,
                None => {
                    let frames = [Bytes::from(self.hear_frame().expect("the connection lives"))];
                    self.heard.extend(bundle::read(&frames, Recipient::Peer).map(Result::unwrap));
                }
            }
        }
    }

    /// Whether the broker has closed the connection: by a command that means nothing to it, for reading is not wanted here.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.say(&command("PONG", b"")).is_err()
    }

    /// Reads until the broker has closed the connection, one way or the other, and gives what came before that.
    pub(crate) fn hear_end(&mut self) -> Vec<u8> {
        let mut heard = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut heard) {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "the broker does not close it");
        }
        heard
    }
}

/// A session that nobody else has.
pub(crate) fn session() -> SessionId {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let mut session = [0xa7; 16];
    session[..8].copy_from_slice(&number.to_be_bytes());
    SessionId(session)
}

/// The hello of a peer that promises to be heard once in ten minutes.
pub(crate) fn hello(role: &str, session: SessionId) -> Envelope {
    let hello = Hello {
        versions: (1, 1),
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

/// An envelope as a message on the wire.
pub(crate) fn encoded(envelope: &Envelope) -> Vec<u8> {
    let mut bundler = Bundler::new();
    bundler.push(envelope);
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

/// The header of a frame that never comes.
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
