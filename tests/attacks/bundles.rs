//! Valid frames with malicious content.

use callboard::core::wire::{Envelope, envelope::Ping};

use crate::{
    attack::{Held, Target},
    wire::{LAST, MORE, Wire, frame},
};

/// The header of a request for `bench.echo` with this call number.
fn header(number: u8) -> Vec<u8> {
    [&[0xa3, 0, 5, 1, 0x18, number, 2, 0x6a][..], b"bench.echo"].concat()
}

/// Nesting that would exhaust a stack, and lengths that would exhaust the memory, in headers, bodies and their frames.
pub(crate) fn bombs(target: &Target) -> Held {
    let deep = |opener: &[u8]| opener.repeat(60_000);
    let huge = |major: u8| [&[major | 27][..], &[0x3f; 8]].concat();
    let bombs: Vec<Vec<u8>> = [0x40, 0x60, 0x80, 0xa0]
        .into_iter()
        .map(huge)
        .chain([deep(&[0x81]), deep(&[0xa1, 0]), deep(&[0x9f]), deep(&[0xbf, 0]), deep(&[0xc1]), deep(&[0x5f])])
        .collect();
    let (mut client, mut worker) = (target.client(), Wire::join(&target.backend, "worker"));
    for _ in 0..target.many(1, 50) {
        for (number, bomb) in (100..).zip(&bombs) {
            // As a whole message, as a header, as a body, as a body's own length, and as arguments.
            let extension = [&[0xa3, 0, 5, 1, 0x18, number, 0x18, 0x40][..], bomb].concat();
            for message in
                [frame(LAST, bomb), frame(LAST, &extension), frame(LAST, &[&header(number)[..], bomb].concat())]
            {
                client.send(&message).unwrap();
                worker.send(&message).unwrap();
            }
            client.send(&[frame(MORE, &header(number)), frame(LAST, bomb)].concat()).unwrap();
            assert_alive(&mut client);
            assert_alive(&mut worker);
            // A registration, and a hello: each ends its own connection only.
            for (endpoint, role) in target.endpoints() {
                let mut wire = if role == "worker" { Wire::join(endpoint, role) } else { Wire::open(endpoint) };
                let kind = if role == "worker" { 4 } else { 0 };
                wire.send(&[frame(MORE, &[0xa1, 0, kind]), frame(LAST, bomb)].concat()).unwrap();
                wire.read_to_end();
            }
        }
    }
    Box::new((client, worker))
}

/// Asserts that the broker still answers this peer: an invalid envelope does not affect the envelopes after it.
fn assert_alive(wire: &mut Wire) {
    wire.send_envelope(&Envelope::Ping(Ping { number: 77, done_below: None }));
    while !matches!(wire.read_envelope(), Envelope::Pong(77)) {}
}
