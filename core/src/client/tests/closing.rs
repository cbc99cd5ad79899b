//! Tests of closing a client.

use super::*;
use crate::{peer::simulated_broker::goodbye, wire::envelope::Credit};

const GOODBYE: Action<u64> = Action::Send(Envelope::Goodbye(None));

#[test]
fn a_close_ends_all_calls_sends_goodbye_and_waits_for_the_answer() {
    let mut harness = Harness::connected(1, 1_000);
    harness.call(1);
    harness.call(2);
    let actions = harness.close_within(ms(5_000));
    assert_eq!(failed(&actions), [(1, Code::Cancelled, Executed::Maybe), (2, Code::Cancelled, Executed::No)]);
    assert_eq!(actions.last(), Some(&GOODBYE), "goodbye cancels all open calls, so no cancel is sent");
    assert_eq!(actions.len(), 3);
    assert_eq!(harness.receive(&[reply(1, result())]), [], "messages after the close are ignored");
    assert_eq!(harness.receive(&[Envelope::Goodbye(None)]), [Action::Disconnect, Action::Closed]);
    assert_eq!(harness.lose_connection(), []);
    assert_eq!(harness.client.poll_timeout(), None);
}

#[test]
fn waiting_casts_are_still_sent_as_credit_arrives() {
    let mut harness = Harness::connected(1, 1_000);
    for name in 1..=3 {
        harness.cast(name);
    }
    assert_eq!(harness.close_within(ms(5_000)), []);
    let more = Envelope::Credit(Credit { calls: 1, bytes: 100, offer: 0 });
    let actions = harness.receive(std::slice::from_ref(&more));
    assert_eq!((numbers(&actions), actions.last()), (vec![2], Some(&released(2))));
    let actions = harness.receive(&[more]);
    assert_eq!(numbers(&actions), [3]);
    assert_eq!(actions.last(), Some(&GOODBYE));
}

#[test]
fn waiting_casts_are_dropped_at_the_close_deadline() {
    let mut harness = Harness::connected(0, 1_000);
    harness.cast(1);
    assert_eq!(harness.close_within(ms(500)), []);
    assert_eq!(harness.pass(ms(499)), []);
    assert_eq!(harness.pass(ms(1)), [Action::Disconnect, released(1), Action::Closed]);
    assert_eq!(harness.client.counters().casts_dropped, 1);
}

#[test]
fn the_wait_for_the_answer_to_goodbye_ends_at_the_deadline() {
    let mut harness = Harness::connected(1, 1_000);
    assert_eq!(harness.close_within(ms(500)), [GOODBYE]);
    assert_eq!(harness.pass(ms(499)), []);
    assert_eq!(harness.pass(ms(1)), [Action::Disconnect, Action::Closed]);
}

#[test]
fn a_connection_lost_after_goodbye_completes_the_close() {
    let mut harness = Harness::connected(1, 1_000);
    harness.close_within(ms(500));
    assert_eq!(harness.lose_connection(), [Action::Closed]);
}

#[test]
fn a_close_without_a_connection_completes_immediately_unless_casts_wait() {
    let mut harness = Harness::new();
    harness.call(1);
    let actions = harness.close_within(ms(500));
    assert_eq!(failed(&actions), [(1, Code::Cancelled, Executed::No)]);
    assert_eq!(actions.last(), Some(&Action::Closed));
    let mut harness = Harness::new();
    harness.event(Event::Timeout);
    assert_eq!(harness.close_within(ms(500)), [Action::Disconnect, Action::Closed], "a connecting socket is dropped");
}

#[test]
fn a_closing_client_reconnects_for_waiting_casts_until_the_deadline() {
    let mut harness = Harness::new();
    harness.cast(1);
    assert_eq!(harness.close_within(ms(5_000)), []);
    let actions = harness.connect(1, 10, 1_000);
    assert_eq!(numbers(&actions), [1]);
    assert_eq!(actions.last(), Some(&GOODBYE));
    let mut harness = Harness::connected(0, 1_000);
    harness.cast(1);
    harness.close_within(ms(5_000));
    assert_eq!(harness.lose_connection(), []);
    assert_eq!(harness.client.waiting_len(), 1);
    assert_eq!(numbers(&harness.connect(2, 10, 1_000)), [1]);
}

#[test]
fn a_closing_or_closed_client_rejects_calls() {
    let mut harness = Harness::connected(1, 1_000);
    harness.close_within(ms(500));
    assert_eq!(failed(&harness.call(1)), [(1, Code::Cancelled, Executed::No)]);
    assert_eq!(harness.cast(2), [released(2)]);
    harness.receive(&[Envelope::Goodbye(None)]);
    assert_eq!(failed(&harness.call(3)), [(3, Code::Cancelled, Executed::No)]);
    assert_eq!(harness.close_within(ms(500)), [], "a second close has no effect");
}

#[test]
fn a_second_close_can_only_make_the_deadline_earlier() {
    let mut harness = Harness::connected(1, 1_000);
    assert_eq!(harness.close_within(ms(500)), [GOODBYE]);
    assert_eq!(harness.close_within(ms(9_000)), []);
    assert_eq!(harness.pass(ms(499)), []);
    assert_eq!(harness.close_within(Duration::ZERO), [Action::Disconnect, Action::Closed]);
}

#[test]
fn a_client_that_is_rejected_while_it_closes_is_closed() {
    let mut harness = Harness::connected(0, 1_000);
    harness.cast(1);
    harness.close_within(ms(500));
    let actions = harness.receive(&[goodbye(Code::ResourceExhausted)]);
    assert!(matches!(
        actions[..],
        [Action::Disconnect, Action::Rejected(_), Action::Release { token: 1 }, Action::Closed]
    ));
}
