//! A peer that implements the protocol literally.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicU8, Ordering},
};

use super::{cbor::Cbor, zmtp::Zmtp};

/// The kinds that the peer answers or ignores itself.
const HELLO: u64 = 0;
const CHALLENGE: u64 = 1;
const PROOF: u64 = 2;
const WELCOME: u64 = 3;
const CREDIT: u64 = 10;
const PING: u64 = 17;
const PONG: u64 = 18;

/// A peer with one connection to the broker.
pub(super) struct Peer {
    zmtp: Zmtp,
    /// The envelopes of the last bundle that were not returned yet.
    received: VecDeque<Envelope>,
}

/// A header and its body.
#[derive(Debug)]
pub(super) struct Envelope {
    header: BTreeMap<u64, Cbor>,
    pub(super) body: Vec<u8>,
}

impl Peer {
    pub(super) fn connect(address: &str) -> Peer {
        Peer { zmtp: Zmtp::connect(address), received: VecDeque::new() }
    }

    /// Connects and completes the handshake.
    pub(super) fn join(address: &str, role: &str) -> Peer {
        let mut peer = Peer::connect(address);
        peer.hello(role, [2, 2]);
        assert_eq!(peer.receive().kind(), CHALLENGE);
        peer.send(&[(0, Cbor::Uint(PROOF))], &[]);
        let welcome = peer.receive();
        assert_eq!(welcome.kind(), WELCOME);
        let Cbor::Map(entries) = Cbor::decoded(&welcome.body) else { panic!("not a map: {welcome:?}") };
        assert!(entries.contains(&(text("version"), Cbor::Uint(2))), "{entries:?}");
        peer
    }

    pub(super) fn hello(&mut self, role: &str, versions: [u64; 2]) {
        static SESSIONS: AtomicU8 = AtomicU8::new(1);
        let session = SESSIONS.fetch_add(1, Ordering::Relaxed);
        let hello = map([
            ("versions", array(versions.map(Cbor::Uint))),
            ("role", text(role)),
            ("session", Cbor::Bytes(vec![session; 16])),
            ("connection", Cbor::Uint(1)),
            ("heartbeat_ms", Cbor::Uint(600_000)),
            ("instance", text("by-hand")),
            ("unknown to you", Cbor::Null),
        ]);
        self.send(&[(0, Cbor::Uint(HELLO))], &hello.encoded());
    }

    /// Sends a heartbeat of ZMTP and waits for the PONG. Only pings may be in flight to the peer.
    pub(super) fn heartbeat(&mut self, context: &[u8]) {
        self.zmtp.ping(context);
    }

    /// Sends one envelope in two frames: the header and the encoded body.
    pub(super) fn send(&mut self, header: &[(u64, Cbor)], body: &[u8]) {
        let envelope = Envelope::new(header, body.to_vec());
        self.zmtp.send(&[envelope.encoded_header(), envelope.body]);
    }

    /// Sends envelopes in one frame: a sequence of headers and bodies, with the bodies as byte strings.
    pub(super) fn send_bundle(&mut self, envelopes: Vec<Envelope>) {
        let sequence = envelopes
            .into_iter()
            .flat_map(|envelope| [envelope.encoded_header(), Cbor::Bytes(envelope.body).encoded()].concat());
        self.zmtp.send(&[sequence.collect()]);
    }

    /// Returns the next envelope for the test. Answers pings, and ignores credit because the window is never full.
    pub(super) fn receive(&mut self) -> Envelope {
        loop {
            let Some(envelope) = self.received.pop_front() else {
                let frames = self.zmtp.receive();
                self.received.extend(Envelope::all(&frames));
                continue;
            };
            match envelope.kind() {
                PING => self.send(&[(0, Cbor::Uint(PONG)), (1, Cbor::Uint(envelope.uint(1)))], &[]),
                CREDIT => {}
                _ => return envelope,
            }
        }
    }

    /// Connects, sends bytes of another protocol, and waits until the broker closes the connection.
    pub(super) fn babble(address: &str) {
        let mut stream = TcpStream::connect(address.strip_prefix("tcp://").unwrap()).unwrap();
        stream.set_read_timeout(Some(crate::harness::DEADLINE)).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: callboard\r\n\r\n").unwrap();
        // Before that, the broker sends its greeting. A reset counts as the end, too.
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

impl Envelope {
    /// Decodes the envelopes of one message, in either form.
    fn all(frames: &[Vec<u8>]) -> Vec<Envelope> {
        if let [header, body] = frames {
            return vec![Envelope::read(Cbor::decoded(header), body.clone())];
        }
        let [bundle] = frames else { panic!("{} frames", frames.len()) };
        let (mut rest, mut envelopes) = (&bundle[..], Vec::new());
        while !rest.is_empty() {
            let (header, behind) = Cbor::read(rest);
            let (body, behind) = Cbor::read(behind);
            let Cbor::Bytes(body) = body else { panic!("a body must be a byte string: {body:?}") };
            envelopes.push(Envelope::read(header, body));
            rest = behind;
        }
        envelopes
    }

    fn read(header: Cbor, body: Vec<u8>) -> Envelope {
        let Cbor::Map(entries) = header else { panic!("a header must be a map: {header:?}") };
        Envelope { header: entries.into_iter().map(|(key, value)| (key.uint(), value)).collect(), body }
    }

    pub(super) fn new(header: &[(u64, Cbor)], body: Vec<u8>) -> Envelope {
        Envelope { header: header.iter().cloned().collect(), body }
    }

    /// Encodes the header with its keys in ascending order.
    fn encoded_header(&self) -> Vec<u8> {
        Cbor::Map(self.header.iter().map(|(key, value)| (Cbor::Uint(*key), value.clone())).collect()).encoded()
    }

    pub(super) fn kind(&self) -> u64 {
        self.uint(0)
    }

    pub(super) fn uint(&self, key: u64) -> u64 {
        self.header.get(&key).unwrap_or_else(|| panic!("no key {key} in {self:?}")).uint()
    }

    pub(super) fn text(&self, key: u64) -> &str {
        let Some(Cbor::Text(text)) = self.header.get(&key) else { panic!("no text at {key} in {self:?}") };
        text
    }
}

pub(super) fn text(text: &str) -> Cbor {
    Cbor::Text(text.to_owned())
}

pub(super) fn array(items: impl IntoIterator<Item = Cbor>) -> Cbor {
    Cbor::Array(items.into_iter().collect())
}

pub(super) fn map<const N: usize>(entries: [(&str, Cbor); N]) -> Cbor {
    Cbor::Map(entries.into_iter().map(|(key, value)| (text(key), value)).collect())
}
