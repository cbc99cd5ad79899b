//! Valid frames with malicious content.

use callboard::core::wire::{Envelope, envelope::Ping};

use crate::{
    attack::{Spoils, Target},
    wire::{LAST, MORE, Wire, frame},
};

/// A request for `bench.echo` of this number: its header.
fn header(number: u8) -> Vec<u8> {
    [&[0xa3, 0, 5, 1, 0x18, number, 2, 0x6a][..], b"bench.echo"].concat()
}

/// Nesting that would exhaust a stack, and lengths that would exhaust the memory, in headers, bodies and their frames.
pub(crate) fn bombs(target: &Target) -> Spoils {
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
                client.say(&message).unwrap();
                worker.say(&message).unwrap();
            }
            client.say(&[frame(MORE, &header(number)), frame(LAST, bomb)].concat()).unwrap();
            lives(&mut client);
            lives(&mut worker);
            // A registration, and a hello: both end their connections, and nothing else.
            for (door, role) in target.doors() {
                let mut wire = if role == "worker" { Wire::join(door, role) } else { Wire::open(door) };
                let kind = if role == "worker" { 4 } else { 0 };
                wire.say(&[frame(MORE, &[0xa1, 0, kind]), frame(LAST, bomb)].concat()).unwrap();
                wire.hear_end();
            }
        }
    }
    Box::new((client, worker))
}

/// A bad envelope spoils itself: its sender is heard as before.
fn lives(wire: &mut Wire) {
    wire.say_envelope(&Envelope::Ping(Ping { number: 77, done_below: None }));
    while !matches!(wire.hear_envelope(), Envelope::Pong(77)) {}
}
