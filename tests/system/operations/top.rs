//! `callboard top` and `callboard status --watch` on a terminal.

use rustix::process::Signal;

use crate::harness::{Broker, Finished, PseudoTerminal, until};

const ALTERNATE_SCREEN: &str = "\x1b[?1049h";
const NORMAL_SCREEN: &str = "\x1b[?1049l";

/// Asserts that the process has ended with this code, and has left the terminal as it was.
#[track_caller]
fn restored(mut terminal: PseudoTerminal, code: i32) {
    assert_eq!(terminal.exit_code(), code);
    terminal.wait_for(NORMAL_SCREEN);
    assert!(terminal.is_restored());
}

#[test]
fn top_shows_the_services_and_restores_the_terminal_at_its_end() {
    let broker = Broker::start();
    let _worker = broker.worker("calculator-worker", "calculator");
    let start = || {
        let top = PseudoTerminal::start(broker.command_line(&["top"]));
        top.wait_for(ALTERNATE_SCREEN);
        top.wait_for("calculator");
        top
    };
    let mut quit = start();
    assert!(!quit.is_restored(), "it reads single keys");
    quit.press("2");
    quit.wait_for(".add");
    quit.press("q");
    restored(quit, 0);
    let mut interrupted = start();
    interrupted.press("\x03");
    restored(interrupted, 130);
    let terminated = start();
    terminated.signal(Signal::TERM);
    restored(terminated, 0);
}

#[test]
fn a_key_of_top_pauses_a_service_after_its_confirmation() {
    let broker = Broker::start();
    let _worker = broker.worker("calculator-worker", "calculator");
    let mut top = PseudoTerminal::start(broker.command_line(&["top"]));
    top.wait_for("calculator");
    let limits = || broker.command(&["limit"]).printed();
    top.press("P");
    top.wait_for("(y/n)?");
    assert_eq!(limits(), "nothing is limited or paused");
    top.press("y");
    until("the service is paused", || limits().contains("paused").then_some(()));
    top.wait_for("(paused)");
    top.press("Py");
    until("the service is resumed", || (limits() == "nothing is limited or paused").then_some(()));
    top.press("q");
    restored(top, 0);
}

#[test]
fn top_continues_after_a_restart_of_the_broker() {
    let mut broker = Broker::start();
    let _worker = broker.worker("calculator-worker", "calculator");
    let mut top = PseudoTerminal::start(broker.command_line(&["top"]));
    top.wait_for("calculator");
    broker.process.kill();
    top.wait_for("answer");
    broker = Broker::start_at(&broker.frontend.clone(), &broker.backend.clone());
    broker.wait_for_service("calculator");
    top.press("2");
    top.wait_for(".add");
    top.press("q");
    restored(top, 0);
}

#[test]
fn top_without_a_terminal_names_the_command_to_use() {
    let ended = Finished::callboard(&["top"]).failed(2);
    assert_eq!(ended, "error: top needs a terminal: run callboard status --watch instead");
}

#[test]
fn status_watch_uses_the_alternate_screen_and_fits_it() {
    let broker = Broker::start();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 0)] {
        let watch = PseudoTerminal::start(broker.command_line(&["status", "--watch"]));
        watch.wait_for(ALTERNATE_SCREEN);
        watch.wait_for("SERVICE");
        // The line with the counters is longer than the screen is wide.
        watch.wait_for("…");
        watch.signal(signal);
        restored(watch, code);
    }
}
