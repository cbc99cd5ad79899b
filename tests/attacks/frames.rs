//! Invalid frames.

use callboard::core::zmtp::greeting;

use crate::{
    attack::{Spoils, Target},
    wire::{COMMAND, LAST, MORE, Wire, announced, frame},
};

const LENGTHS: [u64; 4] = [1 << 40, 1 << 62, 1 << 63, u64::MAX];

/// Lengths from a terabyte on, of data and of commands, before and after READY, and once let in.
pub(crate) fn lengths(target: &Target) -> Spoils {
    for _ in 0..target.many(1, 100) {
        for (door, role) in target.doors() {
            for (flags, length) in
                [LAST, MORE, COMMAND].into_iter().flat_map(|flags| LENGTHS.map(|length| (flags, length)))
            {
                let mut early = Wire::connect(door);
                early.say(&[&greeting()[..], &announced(flags, length)].concat()).unwrap();
                let told = early.hear_end();
                assert!(contains(&told, b"\x05ERROR"), "one in ZMTP's handshake is told why: {told:?}");
                for mut wire in [Wire::open(door), Wire::join(door, role)] {
                    wire.say(&announced(flags, length)).unwrap();
                    let told = wire.hear_end();
                    assert!(contains(&told, b"it announced a"), "one that is through it is told why: {told:?}");
                }
            }
        }
    }
    Box::new(())
}

/// A message of a hundred thousand frames of a byte.
pub(crate) fn tiny_frames(target: &Target) -> Spoils {
    let message = frame(MORE, b"x").repeat(100_000);
    for _ in 0..target.many(2, 200) {
        let mut client = target.client();
        // The broker may close it in the middle.
        client.say(&message).ok();
        client.hear_end();
    }
    Box::new(())
}

fn contains(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}
