//! Two applications that call each other, each with its own event loop: the peers of the examples.

use crate::harness::{Broker, Process, example};

#[test]
fn two_applications_call_each_other_while_their_loops_run() {
    let broker = Broker::start();
    let start = |name: &str, words: &[&str]| {
        let mut command = example(name);
        command.args(words).env("CALLBOARD_BACKEND", &broker.backend).env("CALLBOARD_FRONTEND", &broker.frontend);
        Process::start(command)
    };
    // The player starts first, and waits for an umpire.
    let mut player = start("peers-player", &[]);
    broker.wait_for_service("player");
    let mut umpire = start("peers-umpire", &["42"]);
    assert_eq!(player.line(), "42 is right");
    assert!(player.line().starts_with("found 42 in "), "{}", player.stdout.so_far());
    // 50, 25, 37, 43, 40, 41, 42.
    assert_eq!(umpire.line(), "the player needed 7 guesses");
    assert_eq!((player.exit_code(), umpire.exit_code()), (0, 0));
}
