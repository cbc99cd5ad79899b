//! Names and messages of peers do not control the terminal on which they are printed.

use callboard::{Code, Error, Service, Worker};

use crate::harness::{Broker, Finished};

/// Clears the screen, sets the window's title, and forges a line.
const EVIL: &str = "a\u{1b}[2J\u{1b}]0;mine\u{7}\u{9b}1mb\nerror: forged";

/// The output, which must not steer a terminal and has no line that a peer has made.
#[track_caller]
fn harmless(ended: &Finished) {
    let all = format!("{}\n{}", ended.stdout, ended.stderr);
    assert!(all.contains("a\\u001b[2J"), "it shows what it was: {all:?}");
    assert!(!all.chars().any(|letter| letter.is_control() && !matches!(letter, '\n' | '\t')), "{all:?}");
    assert!(!all.lines().any(|line| line.starts_with("error: forged")), "{all:?}");
}

// Its worker runs beside the commands that the test waits for.
#[tokio::test(flavor = "multi_thread")]
async fn a_peers_text_does_nothing_to_a_terminal() {
    let broker = Broker::start();
    let evil = Service::new("evil").read("fail", [], || Err::<u32, Error>(Error::new(Code::NotFound, EVIL))).read(
        "say",
        [],
        || EVIL.to_owned(),
    );
    let mut worker = Worker::new().backend(&broker.backend).name(EVIL).serve(evil).start().unwrap();
    worker.registered().await.unwrap();
    for words in [
        &["call", "evil.fail"][..],
        &["call", "evil.say"],
        &["call", "evil.fail", "--broadcast"],
        &["call", "evil.say", "--broadcast"],
        &["status"],
        &["peers"],
    ] {
        harmless(&broker.command(words));
    }
}
