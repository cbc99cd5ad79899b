//! Names and messages of peers do not control the terminal on which they are printed.

use callboard::{Code, Error, Service, Worker};

use crate::harness::{Broker, Finished};

/// A text that clears the screen, sets the window's title, and forges a line.
const EVIL: &str = "a\u{1b}[2J\u{1b}]0;mine\u{7}\u{9b}1mb\nerror: forged";

/// Asserts that the output has no control characters and no forged line.
#[track_caller]
fn harmless(ended: &Finished) {
    let all = format!("{}\n{}", ended.stdout, ended.stderr);
    assert!(all.contains("a\\u001b[2J"), "the escape sequence is shown as text: {all:?}");
    assert!(!all.chars().any(|letter| letter.is_control() && !matches!(letter, '\n' | '\t')), "{all:?}");
    assert!(!all.lines().any(|line| line.starts_with("error: forged")), "{all:?}");
}

// The worker runs in this process, beside the commands that the test waits for.
#[tokio::test(flavor = "multi_thread")]
async fn a_peers_text_does_not_control_the_terminal() {
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
