//! Time-outs.

use super::*;

#[test]
fn a_call_that_was_never_sent_ends_exactly_at_its_deadline() {
    let mut stage = Stage::new();
    stage.event(Event::Timeout);
    stage.call_within(1, ms(3_000));
    assert_eq!(stage.pass(ms(2_999)), []);
    let actions = stage.pass(ms(1));
    assert_eq!(failed(&actions), [(1, Code::DeadlineExceeded, Executed::No)]);
    let (_, failure) = failures(&actions).next().unwrap();
    assert_eq!(
        &*failure.message,
        "the call's own time-out of 3s passed before a broker was reached: the call was never sent"
    );
}

#[test]
fn a_call_that_waited_for_credit_says_so() {
    let mut stage = Stage::connected(1, 1_000);
    stage.call(1);
    stage.call_within(2, ms(500));
    let actions = stage.pass(ms(500));
    assert_eq!(failed(&actions), [(2, Code::DeadlineExceeded, Executed::No)]);
    let (_, failure) = failures(&actions).next().unwrap();
    assert!(failure.message.contains("waiting for credit behind 1 open calls"), "{}", failure.message);
}

#[test]
fn the_time_out_counts_from_when_the_call_was_made() {
    let mut stage = Stage::connected(1, 1_000);
    let timeout = Some(Timeout { span: ms(100), source: TimeoutSource::Call });
    let made = stage.now;
    stage.now = stage.now + ms(100);
    let actions = stage.event(Event::Call(NewCall { timeout, ..new(1, made) }));
    assert_eq!(failed(&actions), [(1, Code::DeadlineExceeded, Executed::No)], "an expired call is never sent");
    assert_eq!(actions.len(), 1);
}

#[test]
fn an_open_call_gets_a_grace_of_a_tenth_but_at_most_a_tenth_of_a_second() {
    for (span, grace) in [(500, 50), (5_000, 100)] {
        let mut stage = Stage::connected(10, 1_000);
        stage.call_within(1, ms(span));
        assert_eq!(stage.pass(ms(span + grace - 1)), []);
        let actions = stage.pass(ms(1));
        assert_eq!(failed(&actions), [(1, Code::DeadlineExceeded, Executed::Maybe)]);
        assert_eq!(actions.last(), Some(&cancels(1, Some(2))), "and the broker is told");
    }
}

#[test]
fn within_the_grace_the_brokers_own_word_counts() {
    let mut stage = Stage::connected(10, 1_000);
    stage.call_within(1, ms(5_000));
    assert_eq!(stage.pass(ms(5_050)), []);
    let failure = Failure { attempt: 1, ..Failure::new(Code::DeadlineExceeded, Executed::Yes, "it ran") };
    let actions = stage.hear(&[reply(1, Err(Box::new(failure)))]);
    assert_eq!(failed(&actions), [(1, Code::DeadlineExceeded, Executed::Yes)]);
    assert_eq!(stage.pass(ms(60_000)), [], "it ends once");
}

#[test]
fn the_error_says_which_time_out_and_where_the_time_went() {
    let mut stage = Stage::connected(1, 1_000);
    stage.call(1);
    let timeout = Some(Timeout { span: ms(30_000), source: TimeoutSource::Client });
    let made = stage.now;
    stage.event(Event::Call(NewCall { timeout, ..new(2, made) }));
    stage.pass(ms(2_000));
    let room = crate::wire::envelope::Credit { calls: 1, bytes: 100, offer: 0 };
    assert_eq!(numbers(&stage.hear(&[Envelope::Credit(room)])), [2]);
    let actions = stage.pass(ms(30_000));
    let (_, failure) = failures(&actions).next().unwrap();
    assert_eq!(
        &*failure.message,
        "the client's default time-out of 30s passed: 2s waiting in the client, then 28.1s without an outcome"
    );
}

#[test]
fn a_call_without_a_time_out_waits_on() {
    let mut stage = Stage::connected(1, 1_000);
    stage.call(1);
    stage.call(2);
    assert_eq!(stage.pass(ms(3_600_000)), []);
    assert_eq!(stage.hear(&[reply(1, five())]), [answered(1)]);
}

#[test]
fn a_time_out_of_nothing_or_of_all_time_is_taken_as_it_is() {
    let mut stage = Stage::connected(5, 1_000);
    assert_eq!(failed(&stage.call_within(1, Duration::ZERO)), [(1, Code::DeadlineExceeded, Executed::No)]);
    assert_eq!(numbers(&stage.call_within(2, Duration::MAX)), [1]);
    assert_eq!(stage.pass(ms(3_600_000)), []);
}

#[test]
fn a_waiting_cast_whose_time_is_up_is_given_up_and_counted() {
    let mut stage = Stage::connected(0, 0);
    let timeout = Some(Timeout { span: ms(100), source: TimeoutSource::Call });
    stage.event(Event::Call(NewCall { timeout, cast: true, ..new(1, stage.now) }));
    assert_eq!(stage.pass(ms(100)), [done(1)]);
    assert_eq!(stage.client.counters().casts_dropped, 1);
    assert!(matches!(stage.notes.last(), Some(Diagnostic::CastDropped { .. })));
}

#[test]
fn what_waits_behind_an_expired_call_goes_at_once() {
    let mut stage = Stage::connected(10, 100);
    stage.call_of_size(1, 100);
    let timeout = Some(Timeout { span: ms(100), source: TimeoutSource::Call });
    stage.hear(&[Envelope::Credit(crate::wire::envelope::Credit { calls: 0, bytes: 10, offer: 0 })]);
    stage.event(Event::Call(NewCall { timeout, body: vec![0; 50].into(), ..new(2, stage.now) }));
    stage.call_of_size(3, 10);
    let actions = stage.pass(ms(100));
    assert_eq!(failed(&actions), [(2, Code::DeadlineExceeded, Executed::No)]);
    assert_eq!(numbers(&actions), [2]);
}
