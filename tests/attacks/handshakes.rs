//! Invalid handshakes.

use std::{thread, time::Duration};

use bytes::Bytes;
use callboard::core::{wire::Envelope, zmtp::greeting};

use crate::{
    attack::{Held, Target},
    wire::{Wire, encoded, hello, ready, session},
};

/// The parts that a client sends until it is authenticated.
fn parts() -> [Vec<u8>; 4] {
    let proof = encoded(&Envelope::Proof(Bytes::new()));
    [greeting().to_vec(), ready(b""), encoded(&hello("client", session())), proof]
}

/// Handshakes that send one byte per second from some point on. Progress does not extend the time limit.
pub(crate) fn trickle(target: &Target) -> Held {
    let each = target.many(2, 100);
    let tricklers = (0..parts().len()).flat_map(|stage| (0..each).map(move |_| stage));
    let tricklers: Vec<_> = tricklers
        .map(|stage| {
            let endpoint = target.frontend.clone();
            thread::spawn(move || trickle_from(stage, &endpoint))
        })
        .collect();
    tricklers.into_iter().for_each(|trickler| trickler.join().unwrap());
    Box::new(())
}

fn trickle_from(stage: usize, endpoint: &str) {
    let mut wire = Wire::connect(endpoint);
    let parts = parts();
    wire.send(&parts[..stage].concat()).unwrap();
    let (_, slowly) = parts[stage].split_last().unwrap();
    for &byte in slowly {
        if wire.send(&[byte]).is_err() {
            return;
        }
        thread::sleep(Duration::from_secs(1));
    }
    wire.read_to_end();
}

/// Random bytes, at the start or after some valid parts of a handshake.
pub(crate) fn random_bytes(target: &Target) -> Held {
    let (mut random, parts) = (Random::new(), parts());
    for round in 0..target.many(300, 20_000) {
        let garbage = (0..random.below(200)).map(|_| random.byte());
        let bytes = parts[..round % parts.len()].concat().into_iter().chain(garbage).collect::<Vec<_>>();
        // The broker may close the connection before it has read everything.
        Wire::connect(&target.frontend).send(&bytes).ok();
    }
    Box::new(())
}

/// Valid handshakes with a few bytes changed, removed or inserted.
pub(crate) fn mutated(target: &Target) -> Held {
    let mut random = Random::new();
    for _ in 0..target.many(300, 20_000) {
        let mut bytes = parts().concat();
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
        Wire::connect(&target.frontend).send(&bytes).ok();
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
        wire.send(&[&greeting[..], &ready(b"")].concat()).ok();
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
