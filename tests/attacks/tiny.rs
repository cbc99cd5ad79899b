//! Floods of the smallest things that a peer may send. The broker limits how many it takes in a turn, and in a second.

use std::thread;

use bytes::Bytes;
use callboard::core::wire::{
    Bundler, Envelope,
    envelope::{Cancel, Credit, Ping, Request, RequestFlags},
    limits::STARTUP_GRACE,
};

use crate::{
    attack::{Held, Target},
    floods::request,
    wire::{LAST, Wire, command, encoded, frame, messages},
};

/// PINGs of ZMTP with 16 bytes of context, on a connection that completes ZMTP's handshake and sends no hello.
pub(crate) fn early_pings(target: &Target) -> Held {
    for _ in 0..target.many(10, 1_000) {
        let mut stranger = Wire::open(&target.frontend);
        // The broker closes the connection before it has read everything.
        stranger.send(&pings().repeat(10)).ok();
        stranger.read_to_end();
    }
    Box::new(())
}

/// PINGs of ZMTP with 16 bytes of context.
pub(crate) fn pings_of_zmtp(target: &Target) -> Held {
    flood(target, target.client(), &pings())
}

/// PONGs of ZMTP, which need no answer.
pub(crate) fn pongs_of_zmtp(target: &Target) -> Held {
    flood(target, target.client(), &command("PONG", &[7; 16]).repeat(1_000))
}

/// Messages of one empty frame.
pub(crate) fn empty_frames(target: &Target) -> Held {
    flood(target, target.client(), &frame(LAST, b"").repeat(10_000))
}

/// Messages of one byte.
pub(crate) fn one_byte_frames(target: &Target) -> Held {
    flood(target, target.client(), &frame(LAST, b"x").repeat(10_000))
}

/// Bundles of 64 pings of the protocol.
pub(crate) fn tiny_bundles(target: &Target) -> Held {
    let mut bundler = Bundler::new();
    (0..6_400).for_each(|number| bundler.push(&Envelope::Ping(Ping { number, done_below: None })));
    flood(target, target.client(), &messages(&mut bundler))
}

/// Cancels of calls that do not exist.
pub(crate) fn cancels(target: &Target) -> Held {
    let cancel = |number| encoded(&Envelope::Cancel(Cancel { number, done_below: None }));
    flood(target, target.client(), &(1..=10_000).flat_map(cancel).collect::<Vec<u8>>())
}

/// Credit of a worker without calls.
pub(crate) fn credits(target: &Target) -> Held {
    let credit = encoded(&Envelope::Credit(Credit { calls: 1, bytes: 0, offer: 0 }));
    flood(target, Wire::join(&target.backend, "worker"), &credit.repeat(10_000))
}

/// Casts that fail at once, which returns their credit.
pub(crate) fn failing_casts(target: &Target) -> Held {
    let flags = RequestFlags { cast: true, ..RequestFlags::default() };
    // Before, a cast waits for a worker that may still reconnect.
    thread::sleep(STARTUP_GRACE);
    let mut number = 0;
    let mut client = target.client();
    client.discard_answers();
    client.flood(target.duration(), || {
        let mut bundler = Bundler::new();
        for _ in 0..640 {
            number += 1;
            bundler.push(&Envelope::Request(Request { flags, ..request(number, "missing.method") }));
        }
        messages(&mut bundler).into()
    });
    Box::new(client)
}

fn pings() -> Vec<u8> {
    command("PING", &[7; 18]).repeat(1_000)
}

/// Sends these bytes again and again.
fn flood(target: &Target, mut wire: Wire, bytes: &[u8]) -> Held {
    let bytes = Bytes::copy_from_slice(bytes);
    wire.discard_answers();
    wire.flood(target.duration(), || bytes.clone());
    Box::new(wire)
}
