//! Tests of the end of calls.

use super::*;

#[test]
fn a_failure_of_a_handler_is_completed_with_attempt_and_worker() {
    let mut harness = Harness::connected(1, 0);
    harness.dispatch(1);
    let failure = Failure::new(Code::Unknown, Executed::Yes, "division by zero");
    let actions = harness.finish_job(first(1), Err(Box::new(failure)));
    assert_eq!(failed(&actions), [(1, Code::Unknown, Executed::Yes)]);
    assert_eq!(harness.worker.counters().failed, 1);
}

#[test]
fn only_a_call_that_still_runs_after_twenty_milliseconds_is_reported_as_started() {
    let mut harness = Harness::connected(2, 0);
    harness.dispatch(1);
    harness.dispatch(2);
    assert_eq!(harness.pass(ms(19)), []);
    harness.finish(1);
    assert_eq!(harness.pass(ms(1)), [Action::QueryStarted(first(2))]);
    let event = Event::Started { job: first(2) };
    assert_eq!(harness.event(event.clone()), [Action::Send(Envelope::Started(DispatchNumber(2)))]);
    assert_eq!(harness.pass(ms(60_000)), [], "it is reported once");
    assert_eq!(harness.event(event), []);
}

#[test]
fn a_handler_that_has_not_started_is_queried_at_growing_intervals() {
    let mut harness = Harness::connected(1, 0);
    harness.dispatch(1);
    let queries = harness.pass(ms(10_000));
    assert!(
        queries.iter().all(|action| *action == Action::QueryStarted(first(1))),
        "it is not reported as started: {queries:?}"
    );
    assert!((5..15).contains(&queries.len()), "{} queries", queries.len());
}

#[test]
fn a_handler_that_was_stopped_before_it_started_did_not_run() {
    let mut harness = Harness::connected(2, 0);
    harness.dispatch(1);
    harness.dispatch_within(2, ms(500));
    harness.receive(&[cancel(1)]);
    let cancelled = harness.event(Event::Stopped { job: first(1), started: false });
    assert_eq!(failed(&cancelled), [(1, Code::Cancelled, Executed::No)]);
    harness.pass(ms(500));
    let expired = harness.event(Event::Stopped { job: first(2), started: false });
    assert_eq!(failed(&expired), [(2, Code::DeadlineExceeded, Executed::No)]);
}

#[test]
fn a_cancelled_running_call_is_stopped_and_keeps_its_slot_until_its_handler_ends() {
    let mut harness = Harness::connected(1, 1);
    harness.dispatch(1);
    harness.dispatch(2);
    assert_eq!(harness.receive(&[cancel(1)]), [Action::Stop(first(1))]);
    assert_eq!(harness.receive(&[cancel(1)]), [], "it is stopped once");
    assert_eq!((harness.worker.running_len(), harness.worker.prefetched_len()), (1, 1));
    let actions = harness.stopped(1);
    assert_eq!(failed(&actions), [(1, Code::Cancelled, Executed::Yes)]);
    assert_eq!(started(&actions), [2]);
}

#[test]
fn the_outcome_of_a_handler_that_finishes_after_a_stop_is_sent() {
    let mut harness = Harness::connected(1, 0);
    harness.dispatch(1);
    harness.receive(&[cancel(1)]);
    assert_eq!(harness.finish(1), [replied(1, result())]);
}

#[test]
fn a_cancelled_prefetched_call_never_starts() {
    let mut harness = Harness::connected(1, 1);
    harness.dispatch(1);
    harness.dispatch_within(2, ms(500));
    assert_eq!(failed(&harness.receive(&[cancel(2)])), [(2, Code::Cancelled, Executed::No)]);
    assert_eq!(harness.finish(1), [replied(1, result())]);
    assert_eq!(harness.pass(ms(500)), []);
}

#[test]
fn a_cancel_after_the_reply_is_ignored() {
    let mut harness = Harness::connected(1, 0);
    harness.dispatch(1);
    harness.finish(1);
    assert_eq!(harness.receive(&[cancel(1), cancel(99)]), []);
}

#[test]
fn a_running_call_is_stopped_at_its_deadline() {
    let mut harness = Harness::connected(1, 0);
    harness.dispatch_within(1, ms(10));
    assert_eq!(harness.pass(ms(9)), []);
    assert_eq!(harness.pass(ms(1)), [Action::Stop(first(1))]);
    assert_eq!(failed(&harness.stopped(1)), [(1, Code::DeadlineExceeded, Executed::Yes)]);
    let mut harness = Harness::connected(1, 0);
    harness.dispatch_within(1, ms(100));
    assert_eq!(harness.pass(ms(20)), [Action::QueryStarted(first(1))]);
    harness.event(Event::Started { job: first(1) });
    assert_eq!(harness.pass(ms(80)), [Action::Stop(first(1))]);
}

#[test]
fn a_handler_is_stopped_once() {
    let mut harness = Harness::connected(1, 0);
    harness.dispatch_within(1, ms(100));
    harness.receive(&[cancel(1)]);
    let actions = harness.pass(ms(1_000));
    assert!(!actions.contains(&Action::Stop(first(1))), "the deadline has no effect");
    assert_eq!(failed(&harness.stopped(1)), [(1, Code::Cancelled, Executed::Yes)]);
}

#[test]
fn a_second_end_and_an_end_of_an_unknown_job_are_ignored() {
    let mut harness = Harness::connected(1, 0);
    harness.dispatch(1);
    harness.finish(1);
    assert_eq!((harness.finish(1), harness.stopped(1), harness.finish(42)), (vec![], vec![], vec![]));
    assert_eq!(harness.worker.running_len(), 0);
}

#[test]
fn a_result_above_the_size_limit_of_the_broker_fails_only_its_call() {
    // Found by review: the broker closed the connection, and every call that ran here was lost.
    let mut harness = Harness::connected(1, 0);
    harness.dispatch(1);
    let max = usize::try_from(harness.worker.welcome().unwrap().message_bytes_max).unwrap();
    let actions = harness.finish_job(first(1), Ok(Bytes::from(vec![0; max])));
    assert_eq!(failed(&actions), [(1, Code::ResourceExhausted, Executed::Yes)]);
}
