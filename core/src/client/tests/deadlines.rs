//! Tests of timeouts.

use super::*;

#[test]
fn a_call_that_was_never_sent_ends_exactly_at_its_deadline() {
    let mut harness = Harness::new();
    harness.event(Event::Timeout);
    harness.call_within(1, ms(3_000));
    assert_eq!(harness.pass(ms(2_999)), []);
    let actions = harness.pass(ms(1));
    assert_eq!(failed(&actions), [(1, Code::DeadlineExceeded, Executed::No)]);
    let (_, failure) = failures(&actions).next().unwrap();
    assert_eq!(
        &*failure.message,
        "the call's own timeout of 3s passed before the client was connected: the call was never sent"
    );
}

#[test]
fn the_timeout_of_a_call_that_waited_for_credit_says_so() {
    let mut harness = Harness::connected(1, 1_000);
    harness.call(1);
    harness.call_within(2, ms(500));
    let actions = harness.pass(ms(500));
    assert_eq!(failed(&actions), [(2, Code::DeadlineExceeded, Executed::No)]);
    let (_, failure) = failures(&actions).next().unwrap();
    assert!(failure.message.contains("waited for credit behind 1 open calls"), "{}", failure.message);
}

#[test]
fn the_timeout_starts_when_the_call_is_made() {
    let mut harness = Harness::connected(1, 1_000);
    let timeout = Some(Timeout { span: ms(100), source: TimeoutSource::Call });
    let made = harness.now;
    harness.now = harness.now + ms(100);
    let actions = harness.event(Event::Call(NewCall { timeout, ..new(1, made) }));
    assert_eq!(failed(&actions), [(1, Code::DeadlineExceeded, Executed::No)], "an expired call is never sent");
    assert_eq!(actions.len(), 1);
}

#[test]
fn the_grace_period_of_an_open_call_is_a_tenth_of_its_timeout_and_at_most_100_ms() {
    for (span, grace) in [(500, 50), (5_000, 100)] {
        let mut harness = Harness::connected(10, 1_000);
        harness.call_within(1, ms(span));
        assert_eq!(harness.pass(ms(span + grace - 1)), []);
        let actions = harness.pass(ms(1));
        assert_eq!(failed(&actions), [(1, Code::DeadlineExceeded, Executed::Maybe)]);
        assert_eq!(actions.last(), Some(&cancels(1, Some(2))), "a cancel is sent to the broker");
    }
}

#[test]
fn a_reply_within_the_grace_period_completes_the_call() {
    let mut harness = Harness::connected(10, 1_000);
    harness.call_within(1, ms(5_000));
    assert_eq!(harness.pass(ms(5_050)), []);
    let failure = Failure { attempt: 1, ..Failure::new(Code::DeadlineExceeded, Executed::Yes, "it ran") };
    let actions = harness.receive(&[reply(1, Err(Box::new(failure)))]);
    assert_eq!(failed(&actions), [(1, Code::DeadlineExceeded, Executed::Yes)]);
    assert_eq!(harness.pass(ms(60_000)), [], "it ends once");
}

#[test]
fn the_error_names_the_timeout_and_where_the_time_was_spent() {
    let mut harness = Harness::connected(1, 1_000);
    harness.call(1);
    let timeout = Some(Timeout { span: ms(30_000), source: TimeoutSource::Client });
    let made = harness.now;
    harness.event(Event::Call(NewCall { timeout, ..new(2, made) }));
    harness.pass(ms(2_000));
    let credit = crate::wire::envelope::Credit { calls: 1, bytes: 100, offer: 0 };
    assert_eq!(numbers(&harness.receive(&[Envelope::Credit(credit)])), [2]);
    let actions = harness.pass(ms(30_000));
    let (_, failure) = failures(&actions).next().unwrap();
    assert_eq!(
        &*failure.message,
        "the client's default timeout of 30s passed: 2s waiting in the client, then 28s without an outcome"
    );
}

#[test]
fn a_call_without_a_timeout_never_expires() {
    let mut harness = Harness::connected(1, 1_000);
    harness.call(1);
    harness.call(2);
    assert_eq!(harness.pass(ms(3_600_000)), []);
    assert_eq!(harness.receive(&[reply(1, result())]), [completed(1)]);
}

#[test]
fn zero_and_maximal_timeouts_are_valid() {
    let mut harness = Harness::connected(5, 1_000);
    assert_eq!(failed(&harness.call_within(1, Duration::ZERO)), [(1, Code::DeadlineExceeded, Executed::No)]);
    assert_eq!(numbers(&harness.call_within(2, Duration::MAX)), [1]);
    assert_eq!(harness.pass(ms(3_600_000)), []);
}

#[test]
fn an_expired_waiting_cast_is_dropped_and_counted() {
    let mut harness = Harness::connected(0, 0);
    let timeout = Some(Timeout { span: ms(100), source: TimeoutSource::Call });
    harness.event(Event::Call(NewCall { timeout, cast: true, ..new(1, harness.now) }));
    assert_eq!(harness.pass(ms(100)), [released(1)]);
    assert_eq!(harness.client.counters().casts_dropped, 1);
    assert!(matches!(harness.diagnostics.last(), Some(Diagnostic::CastDropped { .. })));
}

#[test]
fn the_call_behind_an_expired_one_is_sent_immediately() {
    let mut harness = Harness::connected(10, 100);
    harness.call_of_size(1, 100);
    let timeout = Some(Timeout { span: ms(100), source: TimeoutSource::Call });
    harness.receive(&[Envelope::Credit(crate::wire::envelope::Credit { calls: 0, bytes: 10, offer: 0 })]);
    harness.event(Event::Call(NewCall { timeout, body: vec![0; 50].into(), ..new(2, harness.now) }));
    harness.call_of_size(3, 10);
    let actions = harness.pass(ms(100));
    assert_eq!(failed(&actions), [(2, Code::DeadlineExceeded, Executed::No)]);
    assert_eq!(numbers(&actions), [2]);
}
