//! Invalid frames.

use crate::{
    attack::{Held, Target},
    handshakes::parts,
    wire::{COMMAND, LAST, MORE, Wire, announced, frame},
};

const LENGTHS: [u64; 4] = [1 << 40, 1 << 62, 1 << 63, u64::MAX];

/// Announced lengths from a terabyte up, of data and of commands: before READY, after it, and after authentication.
pub(crate) fn lengths(target: &Target) -> Held {
    let [greeting, ..] = parts(target.mode());
    for _ in 0..target.many(1, 100) {
        for (endpoint, role) in target.endpoints() {
            for (flags, length) in
                [LAST, MORE, COMMAND].into_iter().flat_map(|flags| LENGTHS.map(|length| (flags, length)))
            {
                let mut early = Wire::connect(endpoint);
                early.send_raw(&[&greeting[..], &announced(flags, length)].concat()).unwrap();
                let received = early.read_to_end();
                assert!(contains(&received, b"\x05ERROR"), "no ERROR in ZMTP's handshake: {received:?}");
                for mut wire in [Wire::open(endpoint), Wire::join(endpoint, role)] {
                    wire.send_raw(&announced(flags, length)).unwrap();
                    let received = wire.read_to_end();
                    // The flags of an encrypted frame are inside, and those outside are always the same.
                    let reason =
                        if wire.is_encrypted() && flags != LAST { "without encryption" } else { "it announced a" };
                    assert!(
                        contains(&received, reason.as_bytes()),
                        "no goodbye with a reason after ZMTP's handshake: {received:?}"
                    );
                }
            }
        }
    }
    Box::new(())
}

/// Messages of a hundred thousand frames of one byte.
pub(crate) fn tiny_frames(target: &Target) -> Held {
    let message = frame(MORE, b"x").repeat(100_000);
    for _ in 0..target.many(2, 200) {
        let mut client = target.client();
        // The broker may close the connection before it has read everything.
        client.send(&message).ok();
        client.read_to_end();
    }
    Box::new(())
}

fn contains(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}
