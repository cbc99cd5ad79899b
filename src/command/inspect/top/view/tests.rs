//! Each list at two sizes of the terminal, compared with the text files in `snapshots/`.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test -p callboard --bin callboard top` writes the files again.

use std::{
    env, fs,
    path::Path,
    time::{Duration, Instant},
};

use ratatui::{Terminal, backend::TestBackend, style::Color};

use super::{
    super::model::{
        fixture::{press, snapshot, state},
        snapshot::Detail,
        state::{Mode, State},
        tab::Tab,
    },
    Theme, draw,
};

/// The sizes of the terminal for which there are files.
const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];

fn drawn(state: &State, now: Instant, (width, height): (u16, u16), has_colours: bool) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state, Theme::new(has_colours), now)).unwrap();
    terminal
}

/// Returns the screen as lines of text.
fn text(state: &State, now: Instant, size: (u16, u16)) -> String {
    let terminal = drawn(state, now, size, false);
    let buffer = terminal.backend().buffer();
    let line = |y: u16| (0..size.0).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..size.1).map(|y| format!("{}\n", line(y).trim_end())).collect()
}

/// Compares the screen with its files.
#[track_caller]
fn check(name: &str, state: &State, now: Instant) {
    for (width, height) in SIZES {
        let screen = text(state, now, (width, height));
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/command/inspect/top/view/snapshots");
        let path = folder.join(format!("{name}-{width}x{height}.txt"));
        if env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::write(&path, &screen).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(screen == expected, "{} differs from the screen:\n{screen}", path.display());
    }
}

#[test]
fn each_list_has_its_rows() {
    let (mut state, now) = state();
    let names = ["services", "methods", "workers", "pools", "calls", "dead-letters"];
    for (tab, name) in Tab::ALL.into_iter().zip(names) {
        assert_eq!(state.tab, tab);
        check(name, &state, now);
        press(&mut state, "\t");
    }
    assert_eq!(state.tab, Tab::Services);
}

#[test]
fn the_help_page_lists_the_keys() {
    let (mut state, now) = state();
    press(&mut state, "?");
    check("help", &state, now);
    assert_eq!(press(&mut state, "x"), None);
    assert_eq!(state.mode, Mode::List);
}

#[test]
fn a_call_is_shown_in_full() {
    let (mut state, now) = state();
    press(&mut state, "5\n");
    let detail = Detail::Call("cab78bdd-1".to_owned());
    assert_eq!(state.query().detail, Some(detail.clone()));
    let mut with_detail = snapshot(now, 150);
    let text = "call cab78bdd-1 of jobs.pause by web: running for 1m 30s\n  a reason that is longer than the screen is \
                wide, so that it continues in the next line, below its beginning, which is indented by two spaces";
    with_detail.detail = Some((detail, Ok(text.to_owned())));
    state.on_snapshot(with_detail);
    check("detail", &state, now);
    press(&mut state, "\x1b");
    assert_eq!(state.mode, Mode::List);
}

#[test]
fn an_action_is_confirmed_on_the_last_line() {
    let (mut state, now) = state();
    press(&mut state, "4S8\n");
    check("confirm", &state, now);
}

#[test]
fn old_data_is_shown_with_its_age() {
    let (mut state, now) = state();
    state.on_failure("no answer within 5s".to_owned());
    check("no-answer", &state, now + Duration::from_secs(8));
    state.on_snapshot(snapshot(now, 151));
    assert_eq!(state.failure, None);
}

#[test]
fn a_paused_screen_does_not_change() {
    let (mut state, now) = state();
    press(&mut state, " ");
    assert!(state.query().is_paused);
    state.on_snapshot(snapshot(now + Duration::from_secs(1), 1_000_000));
    let screen = text(&state, now + Duration::from_secs(8), SIZES[0]);
    assert!(screen.contains("refresh paused for 8s") && screen.contains("calls/s 60.0"), "{screen}");
}

#[test]
fn a_list_that_the_broker_refuses_is_an_error_on_the_screen() {
    let (mut state, now) = state();
    let mut refused = snapshot(now, 150);
    refused.calls = Some(Err("PERMISSION_DENIED: not an operator".to_owned()));
    state.on_snapshot(refused);
    press(&mut state, "5");
    assert!(text(&state, now, SIZES[0]).contains("PERMISSION_DENIED"));
    assert_eq!(press(&mut state, "X"), None);
}

#[test]
fn colours_are_optional() {
    let (state, now) = state();
    let coloured = |has_colours: bool| {
        let cells = drawn(&state, now, SIZES[0], has_colours).backend().buffer().content.clone();
        cells.iter().filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset).count()
    };
    assert!(coloured(true) > 0);
    assert_eq!(coloured(false), 0);
}

#[test]
fn every_size_of_the_terminal_is_enough() {
    let (mut state, now) = state();
    for size in [(1, 1), (5, 3), (20, 6), (40, 10), (300, 100)] {
        for _ in Tab::ALL {
            press(&mut state, "\t");
            text(&state, now, size);
        }
        press(&mut state, "?");
        text(&state, now, size);
        press(&mut state, "x");
    }
}

#[test]
fn names_of_peers_do_not_control_the_terminal() {
    let (mut state, now) = state();
    let mut evil = snapshot(now, 150);
    evil.status.broker.services[0].name = "a\x1b[2J".to_owned();
    state.on_snapshot(evil);
    press(&mut state, "1gP");
    let screen = text(&state, now, SIZES[0]);
    assert!(screen.contains("a\\u001b[2J") && !screen.contains('\x1b'), "{screen}");
}
