//! Attacks on the encryption itself: its handshake, which costs the broker more than any other command, and its messages.

use std::{
    thread,
    time::{Duration, Instant},
};

use callboard::core::wire::{Envelope, envelope::Ping, limits::MESSAGE_BYTES_MAX};

use crate::{
    attack::{Held, Target},
    handshakes::parts,
    wire::{Endpoint, LAST, Wire, encoded, frame},
};

/// Threads that connect at the same time.
const FLOODERS: usize = 4;

/// One HELLO after another, each on a new connection. The attacker repeats a recorded one, so it computes nothing, and each costs the
/// broker two operations of X25519.
pub(crate) fn hellos(target: &Target) -> Held {
    let [greeting, hello, ..] = parts(target.mode());
    let (bytes, end) = ([greeting, hello].concat(), Instant::now() + target.duration());
    thread::scope(|scope| {
        for _ in 0..FLOODERS {
            scope.spawn(|| {
                while Instant::now() < end {
                    greet(&target.frontend, &bytes);
                }
            });
        }
    });
    Box::new(())
}

/// Sends a HELLO, and leaves when the WELCOME begins or the broker closes the connection.
fn greet(endpoint: &Endpoint, bytes: &[u8]) {
    let mut wire = Wire::connect(endpoint);
    wire.stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    // The broker may displace the connection before it has read everything.
    if wire.send_raw(bytes).is_ok() {
        wire.await_bytes(callboard::core::zmtp::GREETING_BYTES + 1);
    }
}

/// Many connections at once that send a HELLO, and then nothing.
pub(crate) fn half_handshakes(target: &Target) -> Held {
    let [greeting, hello, ..] = parts(target.mode());
    let bytes = [greeting, hello].concat();
    let half = (0..target.many(200, 5_000)).map(|_| {
        let mut wire = Wire::connect(&target.frontend);
        // The broker may have displaced it.
        wire.send_raw(&bytes).ok();
        wire
    });
    Box::new(half.collect::<Vec<_>>())
}

/// The recorded INITIATE of another connection, and changed ones of this connection.
pub(crate) fn initiates(target: &Target) -> Held {
    let [greeting, hello, initiate, _] = parts(target.mode());
    for _ in 0..target.many(20, 2_000) {
        let mut recorded = Wire::connect(&target.frontend);
        recorded.send_raw(&[&greeting[..], &hello, &initiate].concat()).unwrap();
        recorded.read_to_end();
        let mut changed = Wire::open_with_change(&target.frontend, |initiate| {
            if let Some(last) = initiate.last_mut() {
                *last ^= 1;
            }
        });
        changed.read_to_end();
    }
    Box::new(())
}

/// Messages of an authenticated peer that are repeated, or in the wrong order.
pub(crate) fn replays(target: &Target) -> Held {
    for _ in 0..target.many(20, 1_000) {
        let mut twice = target.client();
        let message = twice.sealed(&ping());
        twice.send_raw(&[&message[..], &message].concat()).unwrap();
        twice.read_to_end();
        let mut reordered = target.client();
        let (first, second) = (reordered.sealed(&ping()), reordered.sealed(&ping()));
        reordered.send_raw(&[second, first].concat()).unwrap();
        reordered.read_to_end();
    }
    Box::new(())
}

/// A changed bit in the middle of the stream of an authenticated peer: each bit of a message, on a connection of its own.
pub(crate) fn changed_bits(target: &Target) -> Held {
    // The frame's header has two bytes; another length would only make the broker wait.
    let bits = (2 * 8..8 * encoded_bytes(target)).step_by(target.many(16, 1));
    for bit in bits {
        let mut wire = target.client();
        wire.send(&ping()).unwrap();
        let mut changed = wire.sealed(&ping());
        changed[bit / 8] ^= 1 << (bit % 8);
        let rest = wire.sealed(&ping());
        wire.send_raw(&[changed, rest].concat()).unwrap();
        wire.read_to_end();
    }
    Box::new(())
}

/// Messages of the maximum size with one wrong bit at the end. The broker reads all bytes of each before it can know.
pub(crate) fn large_forgeries(target: &Target) -> Held {
    let content = vec![7; MESSAGE_BYTES_MAX];
    for _ in 0..target.many(1, 20) {
        let mut wire = target.client();
        let mut message = wire.sealed(&frame(LAST, &content));
        *message.last_mut().unwrap() ^= 1;
        // The broker closes the connection when it has read the last byte.
        wire.send_raw(&message).unwrap();
        wire.read_to_end();
    }
    Box::new(())
}

fn encoded_bytes(target: &Target) -> usize {
    target.client().sealed(&ping()).len()
}

fn ping() -> Vec<u8> {
    encoded(&Envelope::Ping(Ping { number: 1, done_below: None }))
}
