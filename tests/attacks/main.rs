//! Attacks on the broker over the network. Each runs in its own process, while the calls of another client through the same
//! broker must succeed. After each attack, the broker runs, holds no bytes for the attacker, and has the same connections as before.
//!
//!     cargo test --test attacks                         each at a small size
//!     cargo test --release --test attacks -- --full     at full size, one after another
//!     cargo test --test attacks -- silent               the attacks with this word in their name
//!     cargo test --test attacks -- --mode curve         the attacks on a broker with this protection: see [`Mode`]
//!
//! Each attack runs on three brokers: without keys, with an authkey, and with CURVE. The attacker has the keys that a legitimate client has.
//!
//! The attacker is this program, started again. Rust's test harness cannot run a helper process, so the program has its own
//! `main`. To add an attack, write a function and add a line to [`ATTACKS`].
#![cfg(feature = "command")]
#![allow(clippy::unwrap_used)]

mod attack;
mod channel;
#[allow(dead_code, unused_imports)] // the system tests use the rest
#[path = "../system/harness/mod.rs"]
mod harness;
mod mode;
mod scene;
mod wire;

mod bundles;
mod crowds;
mod curve;
mod floods;
mod frames;
mod handshakes;
mod impostor;
mod phase;
mod readers;
mod tiny;

use std::{env, process::ExitCode};

use libtest_mimic::{Arguments, Trial};

use crate::{
    attack::{Attack, Size},
    mode::Mode,
};

/// Small attacks at the same time.
const SMALL_AT_ONCE: usize = 4;

/// The mode of attacks on the encryption itself.
const CURVE: &[Mode] = &[Mode::Curve];

/// All attacks.
const ATTACKS: &[Attack] = &[
    Attack::new("impossible_frame_lengths", frames::lengths)
        .ends_with(&["early-message", "command-too-large", "message-too-large"])
        .ends_with_curve(&["early-message", "command-too-large", "message-too-large", "curve-unencrypted"]),
    Attack::new("a_hundred_thousand_frames_in_one_message", frames::tiny_frames).ends_with(&["too-many-frames"]),
    Attack::new("silent_connections", crowds::silent)
        .small_flags(&["--handshakes-max", "64"])
        .ends_with(&["displaced"]),
    Attack::new("connections_closed_during_their_handshake", crowds::churn),
    // With CURVE the identity is in the encrypted INITIATE, and the broker ignores it there, too.
    Attack::new("twenty_peers_with_one_identity", crowds::one_identity).only(&[Mode::Null, Mode::Authkey]),
    Attack::new("twenty_peers_with_one_session", crowds::one_session),
    Attack::new("handshakes_of_one_byte_per_second", handshakes::trickle)
        .ends_with(&["handshake-timeout", "requested"]),
    Attack::new("random_bytes", handshakes::random_bytes).ends_with(&["not-zmtp"]),
    Attack::new("handshakes_with_changed_bytes", handshakes::mutated),
    Attack::new("unsupported_mechanisms", handshakes::mechanisms)
        .ends_with(&["mechanism", "curve-unavailable"])
        .ends_with_curve(&["mechanism", "unexpected-command"]),
    Attack::new("a_client_that_never_reads", readers::one)
        .flags(&["--message-bytes-max", "128KiB", "--unsent-bytes-max", "1MiB"])
        .ends_with(&["unsent"]),
    Attack::new("many_clients_that_never_read_each_within_its_limit", readers::many)
        .flags(&["--message-bytes-max", "128KiB", "--unsent-bytes-max", "16MiB", "--held-bytes-max", "32MiB"])
        .ends_with(&["held"]),
    Attack::new("malicious_content_in_valid_frames", bundles::bombs),
    Attack::new("a_flood_of_pings", floods::pings).pauses(),
    Attack::new("a_flood_of_zmtp_pings_before_the_hello", tiny::early_pings).ends_with(&["too-many-before-welcome"]),
    Attack::new("a_flood_of_zmtp_pings", tiny::pings_of_zmtp).pauses(),
    Attack::new("a_flood_of_zmtp_pongs", tiny::pongs_of_zmtp).pauses(),
    Attack::new("a_flood_of_empty_frames", tiny::empty_frames).pauses(),
    Attack::new("a_flood_of_frames_of_one_byte", tiny::one_byte_frames).pauses(),
    Attack::new("a_flood_of_bundles_of_pings", tiny::tiny_bundles).pauses(),
    Attack::new("a_flood_of_cancels_of_unknown_calls", tiny::cancels).pauses(),
    Attack::new("a_flood_of_credit_of_a_worker", tiny::credits).pauses(),
    Attack::new("a_flood_of_casts_that_fail_at_once", tiny::failing_casts),
    Attack::new("a_flood_of_casts_from_closed_connections", floods::casts)
        .small_flags(&["--waiting-calls-max", "4000"]),
    Attack::new("a_flood_of_registrations", floods::registrations).ends_with(&["requested"]),
    Attack::new("registrations_of_many_names", floods::large_registrations).ends_with(&["requested"]),
    Attack::new("a_flood_of_hellos_of_curve", curve::hellos).only(CURVE),
    Attack::new("handshakes_that_stop_after_their_hello", curve::half_handshakes)
        .only(CURVE)
        .small_flags(&["--handshakes-max", "64"])
        .ends_with(&["displaced"]),
    Attack::new("recorded_and_changed_initiates", curve::initiates)
        .only(CURVE)
        .ends_with(&["curve-cookie", "curve-initiate"]),
    Attack::new("initiates_that_claim_the_key_of_another_peer", impostor::impostors)
        .only(CURVE)
        .ends_with(&["curve-vouch"])
        .logs("did not prove that it has the secret key of its public key"),
    Attack::new("repeated_and_reordered_messages", curve::replays).only(CURVE).ends_with(&["curve-sequence"]),
    Attack::new("changed_bits_in_the_stream_of_a_peer", curve::changed_bits)
        .only(CURVE)
        .ends_with(&["curve-message", "curve-unencrypted"]),
    Attack::new("messages_of_maximum_size_with_a_wrong_mac", curve::large_forgeries)
        .only(CURVE)
        .ends_with(&["curve-message"]),
];

fn main() -> ExitCode {
    let words: Vec<String> = env::args().collect();
    if let [_, word, name, frontend, backend, size, mode] = &words[..]
        && word == attack::WORD
    {
        attack::run(name, frontend, backend, size, mode);
        return ExitCode::SUCCESS;
    }
    let Options { size, modes, arguments } = Options::parse(words);
    let trial = |mode: Mode, attack: &'static Attack| {
        Trial::test(format!("{mode}::{}", attack.name), move || {
            scene::withstand(attack, size, mode);
            Ok(())
        })
    };
    let attacks =
        |mode| ATTACKS.iter().filter(move |attack| attack.runs_in(mode)).map(move |attack| trial(mode, attack));
    libtest_mimic::run(&arguments, modes.into_iter().flat_map(attacks).collect()).exit_code()
}

/// The command line.
struct Options {
    size: Size,
    modes: Vec<Mode>,
    /// The rest: that of Rust's test harness.
    arguments: Arguments,
}

impl Options {
    fn parse(mut words: Vec<String>) -> Options {
        let mut modes = Mode::ALL.to_vec();
        if let Some(at) = words.iter().position(|word| word == "--mode") {
            let name = words.drain(at..words.len().min(at + 2)).nth(1).unwrap_or_default();
            modes = vec![Mode::parse(&name).unwrap_or_else(|| panic!("no such mode: {name}"))];
        }
        let size = if words.iter().any(|word| word == "--full") { Size::Full } else { Size::Small };
        let mut arguments = Arguments::from_iter(words.into_iter().filter(|word| word != "--full"));
        // The phases of a full attack are measured, and a small one mostly waits.
        let threads = if size == Size::Full { 1 } else { SMALL_AT_ONCE };
        arguments.test_threads = arguments.test_threads.filter(|_| size == Size::Small).or(Some(threads));
        Options { size, modes, arguments }
    }
}
