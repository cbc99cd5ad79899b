//! What keys and polls change.

use std::time::Duration;

use super::{
    action::{Action, Target},
    fixture::{calls, press, snapshot, state},
    history::Series,
    keys::Effect,
    state::{Mode, State},
    tab::{Scope, Tab},
};

fn keys(state: &State) -> Vec<String> {
    state.rows().unwrap().into_iter().map(|row| row.key).collect()
}

#[test]
fn an_action_needs_a_confirmation() {
    let (mut state, _) = state();
    assert_eq!(press(&mut state, "4S8\n"), None);
    let scale = Action::Scale { pool: "jobs".to_owned(), from: 3, size: 8 };
    assert_eq!(press(&mut state, "y"), Some(Effect::Perform(scale)));
    for refusal in ["n", "\x1b", "\n", "q", "Y"] {
        press(&mut state, "R");
        assert!(matches!(state.mode, Mode::Confirm(Action::Reload { .. })));
        assert_eq!(press(&mut state, refusal), None);
        assert_eq!(state.mode, Mode::List);
    }
    press(&mut state, "S\n");
    assert!(state.notice.as_ref().is_some_and(|notice| notice.is_error), "a size is missing");
}

#[test]
fn each_action_names_its_target() {
    let (mut state, _) = state();
    let text = |text: &str| text.to_owned();
    let paused = |target| Some(Effect::Perform(Action::Pause(target)));
    assert_eq!(press(&mut state, "1jPy"), paused(Target::Calls(text("jobs"))));
    assert_eq!(press(&mut state, "1GPy"), Some(Effect::Perform(Action::Resume(Target::Calls(text("mail"))))));
    assert_eq!(press(&mut state, "Uy"), Some(Effect::Perform(Action::Purge { target: text("mail"), waiting: 3 })));
    assert_eq!(press(&mut state, "2gPy"), paused(Target::Calls(text("jobs.echo"))));
    assert_eq!(press(&mut state, "3gPy"), paused(Target::Worker(text("jobs-2"))));
    assert_eq!(press(&mut state, "jPy"), Some(Effect::Perform(Action::Resume(Target::Worker(text("jobs-10"))))));
    assert_eq!(press(&mut state, "Dy"), Some(Effect::Perform(Action::Drain { worker: text("jobs-10") })));
    assert_eq!(press(&mut state, "Ry"), Some(Effect::Perform(Action::Reload { pool: text("jobs") })));
    let cancel = Action::Cancel { call: text("cab78bdd-1"), method: text("jobs.pause") };
    assert_eq!(press(&mut state, "5Xy"), Some(Effect::Perform(cancel.clone())));
    assert_eq!(press(&mut state, "\nXy"), Some(Effect::Perform(cancel)));
    let method = text("mail.send");
    assert_eq!(press(&mut state, "6ry"), Some(Effect::Perform(Action::Resend { id: 12, method: method.clone() })));
    assert_eq!(press(&mut state, "jdy"), Some(Effect::Perform(Action::Drop { id: 3, method })));
}

#[test]
fn a_key_that_does_not_fit_the_list_explains_itself() {
    let (mut state, _) = state();
    assert_eq!(press(&mut state, "1X"), None);
    assert_eq!(state.notice.as_ref().map(|notice| notice.text.as_str()), Some("X cancels a call: press 5"));
    assert_eq!(press(&mut state, "y"), None);
    assert_eq!(state.notice, None, "the next key removes the explanation");
}

#[test]
fn enter_opens_a_row_and_escape_goes_back() {
    let (mut state, _) = state();
    press(&mut state, "j\n");
    assert_eq!((state.tab, &state.scope), (Tab::Methods, &Scope::Service("jobs".to_owned())));
    assert_eq!(keys(&state), ["jobs.echo", "jobs.pause"]);
    press(&mut state, "G\n");
    assert_eq!((state.tab, &state.scope), (Tab::Calls, &Scope::Method("jobs.pause".to_owned())));
    press(&mut state, "\x1b\x1b\x1b");
    assert_eq!((state.tab, &state.scope), (Tab::Services, &Scope::All));
    press(&mut state, "4\n");
    assert_eq!((state.tab, &state.scope), (Tab::Workers, &Scope::Pool("jobs".to_owned())));
    press(&mut state, "\n");
    assert_eq!(keys(&state), ["cab78bdd-1"], "the call that jobs-2 runs");
}

#[test]
fn the_filter_and_the_order_choose_the_rows() {
    let (mut state, _) = state();
    press(&mut state, "3");
    assert_eq!(keys(&state), ["jobs-2", "jobs-10", "jobs-11", "solo"]);
    press(&mut state, "i");
    assert_eq!(keys(&state), ["solo", "jobs-11", "jobs-10", "jobs-2"]);
    press(&mut state, "/JOBS-1\n");
    assert_eq!(keys(&state), ["jobs-11", "jobs-10"]);
    press(&mut state, "\x1bssss");
    assert_eq!(keys(&state)[0], "jobs-2", "the worker that answered most");
    press(&mut state, "/no such\n");
    assert_eq!(keys(&state), [""; 0]);
    assert_eq!(press(&mut state, "Dy"), None);
}

#[test]
fn the_selection_stays_at_its_row() {
    let (mut state, now) = state();
    let selected = |state: &State| keys(state)[state.selected_index(&state.rows().unwrap())].clone();
    press(&mut state, "5j");
    assert_eq!(selected(&state), "cab78bdd-3");
    let mut later = snapshot(now, 150);
    later.calls = Some(Ok(calls().into_iter().skip(1).collect()));
    state.on_snapshot(later);
    assert_eq!(selected(&state), "cab78bdd-3", "it is the first row now");
    let mut last = snapshot(now, 150);
    last.calls = Some(Ok(calls().into_iter().take(2).collect()));
    state.on_snapshot(last);
    assert_eq!(selected(&state), "cab78bdd-1", "the row in its place");
}

#[test]
fn a_rate_is_the_difference_of_two_polls() {
    let (mut state, now) = state();
    assert_eq!(state.history.samples(&Series::Broker), [7.0, 30.0, 15.0, 60.0]);
    assert_eq!(state.history.rate(&Series::Worker("jobs-2".to_owned())), Some(40.0));
    state.on_snapshot(snapshot(now + Duration::from_secs(2), 160));
    assert_eq!(state.history.rate(&Series::Broker), Some(4.0), "8 calls in two seconds");
}

#[test]
fn counters_of_another_start_are_not_a_rate() {
    let (mut state, now) = state();
    let restarted = |seconds, answered| {
        let mut snapshot = snapshot(now + Duration::from_secs(seconds), answered);
        snapshot.status.broker.start = "b".to_owned();
        snapshot
    };
    state.on_snapshot(restarted(1, 1_000));
    assert_eq!(state.history.rate(&Series::Broker), Some(60.0), "the last rate of the start before");
    state.on_snapshot(restarted(2, 1_008));
    assert_eq!(state.history.rate(&Series::Broker), Some(6.0));
}

#[test]
fn two_minutes_are_kept_and_a_worker_that_is_gone_leaves_no_rates() {
    let (mut state, now) = state();
    for second in 1..200 {
        state.on_snapshot(snapshot(now + Duration::from_secs(second), 150));
    }
    assert_eq!(state.history.samples(&Series::Broker).len(), 120);
    let mut without = snapshot(now + Duration::from_secs(200), 150);
    without.status.broker.workers.clear();
    state.on_snapshot(without);
    assert_eq!(state.history.rate(&Series::Worker("jobs-2".to_owned())), None);
}
