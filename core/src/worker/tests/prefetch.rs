//! Tests of prefetched calls behind long ones.

use super::*;
use crate::wire::limits::STARTED_DELAY;

/// The handlers that were asked have started. Returns the other actions.
fn report_started(harness: &mut Harness) -> Vec<Action> {
    let mut actions = Vec::new();
    for action in harness.pass(STARTED_DELAY) {
        match action {
            Action::QueryStarted(job) => actions.extend(harness.event(Event::Started { job })),
            other => actions.push(other),
        }
    }
    actions
}

fn reported(number: u64) -> Action {
    Action::Send(Envelope::Started(DispatchNumber(number)))
}

#[test]
fn prefetched_calls_are_handed_back_once_every_slot_has_a_started_call() {
    let mut harness = Harness::connected(1, 3);
    (1..=3).for_each(|number| drop(harness.dispatch(number)));
    assert_eq!(report_started(&mut harness), [reported(1), handed_back(2), handed_back(3)], "the oldest first");
    assert_eq!(harness.dispatch(4), [handed_back(4)], "nothing is prefetched behind a long call");
    assert!(!harness.diagnostics.contains(&Diagnostic::Overrun(call(4))), "the broker made no mistake");
    assert_eq!(harness.finish(1), [replied(1, result())]);
    assert_eq!(started(&harness.dispatch(5)), [5]);
    assert_eq!(harness.dispatch(6), [], "the new call may be short");
}

#[test]
fn a_call_stays_prefetched_while_a_slot_has_a_call_that_may_be_short() {
    let mut harness = Harness::connected(2, 1);
    harness.dispatch(1);
    assert_eq!(report_started(&mut harness), [reported(1)]);
    harness.dispatch(2);
    assert_eq!(harness.dispatch(3), []);
    assert_eq!(started(&harness.finish(2)), [3]);
    assert_eq!(report_started(&mut harness), [reported(3)]);
}

#[test]
fn long_calls_of_other_services_hand_prefetched_calls_back_if_they_share_slots() {
    let mut harness = Harness::sharing(2, 2, Some(1), 2);
    harness.connect(1);
    harness.dispatch(1);
    assert_eq!(harness.receive(&[dispatch(2, "text.reverse", None)]), []);
    assert_eq!(report_started(&mut harness), [reported(1), handed_back(2)]);
}

#[test]
fn long_calls_of_other_services_do_not_affect_prefetched_calls_if_each_has_slots() {
    let mut harness = Harness::connected(1, 1);
    harness.dispatch(1);
    assert_eq!(report_started(&mut harness), [reported(1)]);
    harness.receive(&[dispatch(2, "text.reverse", None)]);
    assert_eq!(harness.receive(&[dispatch(3, "text.reverse", None)]), [], "it may wait for a short call");
}

#[test]
fn nothing_is_prefetched_behind_calls_of_an_earlier_connection() {
    let mut harness = Harness::connected(1, 1);
    harness.dispatch(1);
    harness.lose_connection();
    harness.connect(1);
    assert_eq!(harness.dispatch(2), [handed_back(2)]);
    assert!(matches!(harness.finish_job(first(1), result())[..], [Action::Send(Envelope::Credit(_))]));
    assert_eq!(started(&harness.dispatch(3)), [3]);
}
