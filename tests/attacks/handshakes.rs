//! Invalid handshakes.

use std::{thread, time::Duration};

use bytes::Bytes;
use callboard::core::{wire::Envelope, zmtp::greeting};

use crate::{
    attack::{Spoils, Target},
    wire::{Wire, encoded, hello, ready, session},
};

/// Everything that a client says until it is let in, part by part.
fn parts() -> [Vec<u8>; 4] {
    let proof = encoded(&Envelope::Proof(Bytes::new()));
    [greeting().to_vec(), ready(b""), encoded(&hello("client", session())), proof]
}

/// Handshakes of one byte a second from some point on: none gets more time for that.
pub(crate) fn trickle(target: &Target) -> Spoils {
    let each = target.many(2, 100);
    let tricklers = (0..parts().len()).flat_map(|stage| (0..each).map(move |_| stage));
    let tricklers: Vec<_> = tricklers
        .map(|stage| {
            let door = target.frontend.clone();
            thread::spawn(move || trickle_from(stage, &door))
        })
        .collect();
    tricklers.into_iter().for_each(|trickler| trickler.join().unwrap());
    Box::new(())
}

fn trickle_from(stage: usize, door: &str) {
    let mut wire = Wire::connect(door);
    let parts = parts();
    wire.say(&parts[..stage].concat()).unwrap();
    let (_, slowly) = parts[stage].split_last().unwrap();
    for &byte in slowly {
        if wire.say(&[byte]).is_err() {
            return;
        }
        thread::sleep(Duration::from_secs(1));
    }
    wire.hear_end();
}

/// Bytes of chance, behind a good beginning or none.
pub(crate) fn random_bytes(target: &Target) -> Spoils {
    let (mut chance, parts) = (Chance::new(), parts());
    for round in 0..target.many(300, 20_000) {
        let garbage = (0..chance.below(200)).map(|_| chance.byte());
        let bytes = parts[..round % parts.len()].concat().into_iter().chain(garbage).collect::<Vec<_>>();
        // The broker may close it in the middle.
        Wire::connect(&target.frontend).say(&bytes).ok();
    }
    Box::new(())
}

/// Good handshakes with a few bytes changed, left out, or too many.
pub(crate) fn mutated(target: &Target) -> Spoils {
    let mut chance = Chance::new();
    for _ in 0..target.many(300, 20_000) {
        let mut bytes = parts().concat();
        for _ in 0..1 + chance.below(3) {
            let at = chance.below(bytes.len());
            match chance.below(4) {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, chance.byte()),
                2 => bytes[at] = chance.byte(),
                _ => bytes[at] ^= 1 << chance.below(8),
            }
        }
        // The broker may close it in the middle.
        Wire::connect(&target.frontend).say(&bytes).ok();
    }
    Box::new(())
}

/// Greetings for mechanisms that the broker does not speak, with a READY behind them all the same.
pub(crate) fn mechanisms(target: &Target) -> Spoils {
    for mechanism in [&b"CURVE"[..], b"PLAIN", b"GSSAPI", b"NULLx", b"null", b""].repeat(target.many(1, 100)) {
        let mut greeting = greeting();
        greeting[12..32].fill(0);
        greeting[12..12 + mechanism.len()].copy_from_slice(mechanism);
        let mut wire = Wire::connect(&target.frontend);
        wire.say(&[&greeting[..], &ready(b"")].concat()).ok();
        wire.hear_end();
    }
    Box::new(())
}

/// A small generator of our own: the same bytes each time (Marsaglia's xorshift).
struct Chance(u64);

impl Chance {
    fn new() -> Chance {
        Chance(0x2545_f491_4f6c_dd1d)
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
