//! Invalid handshakes.

use std::{thread, time::Duration};

use bytes::Bytes;
use callboard::core::{
    wire::Envelope,
    zmtp::{Event, greeting},
};

use crate::{
    attack::{Held, Target},
    channel::Channel,
    mode::{Mode, recording_server},
    wire::{Endpoint, Wire, encoded, hello, ready, session},
};

/// The parts that a client sends until it is authenticated. With CURVE they are those of a recorded connection, so the broker
/// accepts the greeting and the HELLO, and no more.
pub(crate) fn parts(mode: Mode) -> [Vec<u8>; 4] {
    let hello = encoded(&hello("client", session()));
    match mode {
        Mode::Null | Mode::Authkey => [greeting().to_vec(), ready(b""), hello, encoded(&Envelope::Proof(Bytes::new()))],
        Mode::Curve => recording(&hello),
    }
}

/// Records the greeting, the HELLO, the INITIATE and a message of an encrypted connection.
fn recording(hello: &[u8]) -> [Vec<u8>; 4] {
    let (mut server, mut input, mut sent) = (recording_server(), Bytes::new(), Vec::new());
    let mut answer = server.first_bytes();
    let mut channel = Channel::open(Mode::Curve, |bytes| {
        if !bytes.is_empty() {
            sent.push(bytes.to_vec());
        }
        input = [&input[..], bytes].concat().into();
        while let Some(event) = server.next(&mut input).unwrap() {
            if let Event::Transmit(bytes) = event {
                answer = [&answer[..], &bytes].concat().into();
            }
        }
        std::mem::take(&mut answer).to_vec()
    });
    let message = channel.seal(hello);
    let [greeting, hello, initiate] = sent.try_into().expect("a client sends three times");
    [greeting, hello, initiate, message]
}

/// Handshakes that send one byte per second from some point on. Progress does not extend the time limit.
pub(crate) fn trickle(target: &Target) -> Held {
    let each = target.many(2, 100);
    let tricklers = (0..4).flat_map(|stage| (0..each).map(move |_| stage));
    let tricklers: Vec<_> = tricklers
        .map(|stage| {
            let endpoint = target.frontend.clone();
            thread::spawn(move || trickle_from(stage, &endpoint))
        })
        .collect();
    tricklers.into_iter().for_each(|trickler| trickler.join().unwrap());
    Box::new(())
}

fn trickle_from(stage: usize, endpoint: &Endpoint) {
    let (mut wire, slowly) = begin(stage, endpoint);
    let (_, slowly) = slowly.split_last().unwrap();
    for &byte in slowly {
        if wire.send_raw(&[byte]).is_err() {
            return;
        }
        thread::sleep(Duration::from_secs(1));
    }
    wire.read_to_end();
}

/// Begins a valid handshake. Returns the connection, and the bytes that come next.
fn begin(stage: usize, endpoint: &Endpoint) -> (Wire, Vec<u8>) {
    let parts = parts(endpoint.mode);
    let mut wire = if stage < 2 { Wire::connect(endpoint) } else { Wire::open(endpoint) };
    match stage {
        0 => return (wire, parts[0].clone()),
        1 => {
            wire.send_raw(&parts[0]).unwrap();
            return (wire, parts[1].clone());
        }
        _ => {}
    }
    let hello = wire.sealed(&encoded(&hello("client", session())));
    if stage == 2 {
        return (wire, hello);
    }
    wire.send_raw(&hello).unwrap();
    let proof = wire.sealed(&encoded(&Envelope::Proof(Bytes::new())));
    (wire, proof)
}

/// Random bytes, at the start or after some valid parts of a handshake.
pub(crate) fn random_bytes(target: &Target) -> Held {
    let (mut random, parts) = (Random::new(), parts(target.mode()));
    for round in 0..target.many(300, 20_000) {
        let garbage = (0..random.below(200)).map(|_| random.byte());
        let bytes = parts[..round % parts.len()].concat().into_iter().chain(garbage).collect::<Vec<_>>();
        // The broker may close the connection before it has read everything.
        Wire::connect(&target.frontend).send_raw(&bytes).ok();
    }
    Box::new(())
}

/// Valid handshakes with a few bytes changed, removed or inserted.
pub(crate) fn mutated(target: &Target) -> Held {
    let (mut random, valid) = (Random::new(), parts(target.mode()).concat());
    for _ in 0..target.many(300, 20_000) {
        let mut bytes = valid.clone();
        for _ in 0..1 + random.below(3) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, random.byte()),
                2 => bytes[at] = random.byte(),
                _ => bytes[at] ^= 1 << random.below(8),
            }
        }
        // The broker may close the connection before it has read everything.
        Wire::connect(&target.frontend).send_raw(&bytes).ok();
    }
    Box::new(())
}

/// Greetings for mechanisms that the broker does not support, followed by a READY.
pub(crate) fn mechanisms(target: &Target) -> Held {
    for mechanism in [&b"CURVE"[..], b"PLAIN", b"GSSAPI", b"NULLx", b"null", b""].repeat(target.many(1, 100)) {
        let mut greeting = greeting();
        greeting[12..32].fill(0);
        greeting[12..12 + mechanism.len()].copy_from_slice(mechanism);
        let mut wire = Wire::connect(&target.frontend);
        wire.send_raw(&[&greeting[..], &ready(b"")].concat()).ok();
        wire.read_to_end();
    }
    Box::new(())
}

/// A random number generator with a fixed seed (Marsaglia's xorshift): each run sends the same bytes.
struct Random(u64);

impl Random {
    fn new() -> Random {
        Random(0x2545_f491_4f6c_dd1d)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}
