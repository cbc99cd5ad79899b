//! Attacks on the broker over the network. Each runs in its own process, while the calls of another client through the same
//! broker must succeed. After each, the broker runs, holds nothing for the attacker, and has the connections that it had before.
//!
//!     cargo test --test attacks                         each at a size that suits a test
//!     cargo test --release --test attacks -- --full     at full size, one after another
//!     cargo test --test attacks -- silent               the attacks with that word in their name
//!
//! The attacker is this program, started again. So it does not use Rust's test harness, which cannot run a helper process. A new attack is a function and a line in [`ATTACKS`].
#![cfg(feature = "command")]
#![allow(clippy::unwrap_used)]

mod attack;
#[allow(dead_code, unused_imports)] // what the other test program needs of it
#[path = "../system/harness/mod.rs"]
mod harness;
mod scene;
mod wire;

mod bundles;
mod crowds;
mod floods;
mod frames;
mod handshakes;
mod readers;

use std::{env, process::ExitCode};

use libtest_mimic::{Arguments, Trial};

use crate::attack::{Attack, Size};

/// All of them.
const ATTACKS: &[Attack] = &[
    Attack::new("lengths_that_no_frame_can_have", frames::lengths).ends_with(&[
        "early-message",
        "command-too-large",
        "message-too-large",
    ]),
    Attack::new("a_hundred_thousand_frames_in_one_message", frames::tiny_frames).ends_with(&["too-many-frames"]),
    Attack::new("silent_connections", crowds::silent)
        .small_flags(&["--handshakes-max", "64"])
        .ends_with(&["displaced"]),
    Attack::new("connections_that_come_and_go", crowds::churn),
    Attack::new("twenty_peers_with_one_identity", crowds::one_identity),
    Attack::new("twenty_peers_with_one_session", crowds::one_session),
    Attack::new("handshakes_that_trickle", handshakes::trickle).ends_with(&["handshake-timeout", "requested"]),
    Attack::new("random_bytes", handshakes::random_bytes).ends_with(&["not-zmtp"]),
    Attack::new("handshakes_with_a_few_bytes_wrong", handshakes::mutated),
    Attack::new("mechanisms_that_are_not_spoken", handshakes::mechanisms).ends_with(&["mechanism"]),
    Attack::new("a_reader_that_asks_for_much_and_never_reads", readers::one)
        .flags(&["--message-bytes-max", "128KiB", "--unsent-bytes-max", "1MiB"])
        .ends_with(&["unsent"]),
    Attack::new("many_such_readers_each_within_its_limit", readers::many)
        .flags(&["--message-bytes-max", "128KiB", "--unsent-bytes-max", "16MiB", "--held-bytes-max", "32MiB"])
        .ends_with(&["held"]),
    Attack::new("bombs_inside_good_frames", bundles::bombs),
    Attack::new("pings_without_end", floods::pings),
    Attack::new("casts_that_outlive_their_senders", floods::casts).small_flags(&["--waiting-calls-max", "4000"]),
    Attack::new("registrations_without_end", floods::registrations).ends_with(&["requested"]),
];

fn main() -> ExitCode {
    let words: Vec<String> = env::args().collect();
    if let [_, word, name, frontend, backend, size] = &words[..]
        && word == attack::WORD
    {
        attack::run(name, frontend, backend, size);
        return ExitCode::SUCCESS;
    }
    let size = if words.iter().any(|word| word == "--full") { Size::Full } else { Size::Small };
    let mut arguments = Arguments::from_iter(words.into_iter().filter(|word| word != "--full"));
    if size == Size::Full {
        arguments.test_threads = Some(1);
    }
    let trial = |attack: &'static Attack| {
        Trial::test(attack.name, move || {
            scene::withstand(attack, size);
            Ok(())
        })
    };
    libtest_mimic::run(&arguments, ATTACKS.iter().map(trial).collect()).exit_code()
}
