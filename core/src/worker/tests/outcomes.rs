//! How calls end.

use super::*;

#[test]
fn a_failure_of_a_handler_gets_attempt_and_worker() {
    let mut stage = Stage::connected(1, 0);
    stage.dispatch(1);
    let failure = Failure::new(Code::Unknown, Executed::Yes, "division by zero");
    let actions = stage.finish_job(first(1), Err(Box::new(failure)));
    assert_eq!(failed(&actions), [(1, Code::Unknown, Executed::Yes)]);
    assert_eq!(stage.worker.counters().failed, 1);
}

#[test]
fn only_a_call_that_still_runs_after_twenty_milliseconds_is_said_to_have_started() {
    let mut stage = Stage::connected(2, 0);
    stage.dispatch(1);
    stage.dispatch(2);
    assert_eq!(stage.pass(ms(19)), []);
    stage.finish(1);
    assert_eq!(stage.pass(ms(1)), [Action::QueryStarted(first(2))]);
    let begun = Event::Started { job: first(2) };
    assert_eq!(stage.event(begun.clone()), [Action::Send(Envelope::Started(DispatchNumber(2)))]);
    assert_eq!(stage.pass(ms(60_000)), [], "and it is said once");
    assert_eq!(stage.event(begun), []);
}

#[test]
fn a_handler_that_has_not_begun_is_looked_at_again_ever_more_rarely() {
    let mut stage = Stage::connected(1, 0);
    stage.dispatch(1);
    let looks = stage.pass(ms(10_000));
    assert!(
        looks.iter().all(|action| *action == Action::QueryStarted(first(1))),
        "it is not said to have started: {looks:?}"
    );
    assert!((5..15).contains(&looks.len()), "{} looks", looks.len());
}

#[test]
fn a_handler_that_was_stopped_before_it_began_did_not_run() {
    let mut stage = Stage::connected(2, 0);
    stage.dispatch(1);
    stage.dispatch_within(2, ms(500));
    stage.hear(&[cancel(1)]);
    let cancelled = stage.event(Event::Stopped { job: first(1), started: false });
    assert_eq!(failed(&cancelled), [(1, Code::Cancelled, Executed::No)]);
    stage.pass(ms(500));
    let expired = stage.event(Event::Stopped { job: first(2), started: false });
    assert_eq!(failed(&expired), [(2, Code::DeadlineExceeded, Executed::No)]);
}

#[test]
fn a_cancel_stops_a_running_call_and_its_slot_stays_taken_until_the_handler_ends() {
    let mut stage = Stage::connected(1, 1);
    stage.dispatch(1);
    stage.dispatch(2);
    assert_eq!(stage.hear(&[cancel(1)]), [Action::Stop(first(1))]);
    assert_eq!(stage.hear(&[cancel(1)]), [], "it is told once");
    assert_eq!((stage.worker.running_len(), stage.worker.prefetched_len()), (1, 1));
    let actions = stage.stopped(1);
    assert_eq!(failed(&actions), [(1, Code::Cancelled, Executed::Yes)]);
    assert_eq!(runs(&actions), [2]);
}

#[test]
fn a_handler_that_finishes_all_the_same_says_what_it_came_to() {
    let mut stage = Stage::connected(1, 0);
    stage.dispatch(1);
    stage.hear(&[cancel(1)]);
    assert_eq!(stage.finish(1), [replied(1, five())]);
}

#[test]
fn a_cancelled_call_that_is_held_never_starts() {
    let mut stage = Stage::connected(1, 1);
    stage.dispatch(1);
    stage.dispatch_within(2, ms(500));
    assert_eq!(failed(&stage.hear(&[cancel(2)])), [(2, Code::Cancelled, Executed::No)]);
    assert_eq!(stage.finish(1), [replied(1, five())]);
    assert_eq!(stage.pass(ms(500)), []);
}

#[test]
fn a_cancel_that_crosses_the_reply_finds_nothing() {
    let mut stage = Stage::connected(1, 0);
    stage.dispatch(1);
    stage.finish(1);
    assert_eq!(stage.hear(&[cancel(1), cancel(99)]), []);
}

#[test]
fn a_running_call_is_stopped_at_its_deadline() {
    let mut stage = Stage::connected(1, 0);
    stage.dispatch_within(1, ms(10));
    assert_eq!(stage.pass(ms(9)), []);
    assert_eq!(stage.pass(ms(1)), [Action::Stop(first(1))]);
    assert_eq!(failed(&stage.stopped(1)), [(1, Code::DeadlineExceeded, Executed::Yes)]);
    let mut stage = Stage::connected(1, 0);
    stage.dispatch_within(1, ms(100));
    assert_eq!(stage.pass(ms(20)), [Action::QueryStarted(first(1))]);
    stage.event(Event::Started { job: first(1) });
    assert_eq!(stage.pass(ms(80)), [Action::Stop(first(1))]);
}

#[test]
fn a_handler_is_told_to_stop_once() {
    let mut stage = Stage::connected(1, 0);
    stage.dispatch_within(1, ms(100));
    stage.hear(&[cancel(1)]);
    let actions = stage.pass(ms(1_000));
    assert!(!actions.contains(&Action::Stop(first(1))), "the deadline adds nothing");
    assert_eq!(failed(&stage.stopped(1)), [(1, Code::Cancelled, Executed::Yes)]);
}

#[test]
fn an_end_that_was_told_before_or_is_of_nothing_changes_nothing() {
    let mut stage = Stage::connected(1, 0);
    stage.dispatch(1);
    stage.finish(1);
    assert_eq!((stage.finish(1), stage.stopped(1), stage.finish(42)), (vec![], vec![], vec![]));
    assert_eq!(stage.worker.running_len(), 0);
}

#[test]
fn a_result_that_the_broker_would_not_take_is_a_failure_of_its_call_alone() {
    // Found by review: it cost the connection, and with it every call that ran here.
    let mut stage = Stage::connected(1, 0);
    stage.dispatch(1);
    let most = usize::try_from(stage.worker.welcome().unwrap().message_bytes_max).unwrap();
    let actions = stage.finish_job(first(1), Ok(Bytes::from(vec![0; most])));
    assert_eq!(failed(&actions), [(1, Code::ResourceExhausted, Executed::Yes)]);
}
