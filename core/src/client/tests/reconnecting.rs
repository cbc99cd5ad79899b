//! Tests of disconnects and reconnects.

use super::*;
use crate::{
    body,
    peer::{
        DisconnectReason,
        simulated_broker::{goodbye, welcome_body},
    },
    wire::{
        envelope::{Credit, Effect},
        limits::{HEADER_BYTES_MAX, HEARTBEAT_DEFAULT},
    },
};

fn once(name: u64, made: Time) -> NewCall<u64> {
    NewCall { effect: Some(Effect::Once), ..new(name, made) }
}

#[test]
fn open_calls_are_resent_in_order_to_the_same_start_before_new_calls() {
    let mut harness = Harness::connected(10, 1_000);
    harness.call(1);
    harness.event(Event::Call(once(2, harness.now)));
    harness.call(3);
    harness.receive(&[reply(1, result())]);
    harness.lose_connection();
    harness.call(4);
    let actions = harness.connect(1, 10, 1_000);
    assert_eq!(requests(&actions), [(2, true, Some(2)), (3, true, None), (4, false, None)]);
    assert_eq!(harness.client.counters().resent, 2);
    assert_eq!(harness.receive(&[reply(2, result()), reply(3, result())]), [completed(2), completed(3)]);
}

#[test]
fn resends_use_the_new_credit_and_wait_for_more() {
    let mut harness = Harness::connected(10, 1_000);
    for name in 1..=4 {
        harness.call(name);
    }
    harness.lose_connection();
    harness.call(5);
    let actions = harness.connect(1, 2, 1_000);
    assert_eq!(requests(&actions), [(1, true, None), (2, true, None)]);
    let two_more = Envelope::Credit(Credit { calls: 2, bytes: 0, offer: 0 });
    assert_eq!(
        requests(&harness.receive(&[reply(1, result()), two_more.clone()])),
        [(3, true, Some(2)), (4, true, None)]
    );
    assert_eq!(requests(&harness.receive(&[two_more])), [(5, false, None)]);
}

#[test]
fn a_call_declared_once_is_not_resent_to_a_new_start() {
    let mut harness = Harness::connected(10, 1_000);
    harness.call(1);
    harness.event(Event::Call(once(2, harness.now)));
    harness.lose_connection();
    harness.event(Event::Call(once(3, harness.now)));
    let actions = harness.connect(2, 10, 1_000);
    assert_eq!(failed(&actions), [(2, Code::Unavailable, Executed::Maybe)]);
    assert_eq!(requests(&actions), [(1, true, None), (3, false, None)], "a call that was not sent before is sent");
}

#[test]
fn a_call_declared_less_strict_than_once_is_resent_to_a_new_start() {
    for effect in [Effect::Read, Effect::Idempotent] {
        let mut harness = Harness::connected(10, 1_000);
        harness.event(Event::Call(NewCall { effect: Some(effect), ..new(1, harness.now) }));
        harness.lose_connection();
        assert_eq!(requests(&harness.connect(2, 10, 1_000)), [(1, true, None)]);
    }
}

#[test]
fn done_below_is_sent_again_on_each_connection() {
    let mut harness = Harness::connected(10, 1_000);
    harness.call(1);
    harness.call(2);
    harness.receive(&[reply(1, result())]);
    assert_eq!(requests(&harness.call(3)), [(3, false, Some(2))]);
    harness.lose_connection();
    assert_eq!(requests(&harness.connect(2, 10, 1_000)), [(2, true, Some(2)), (3, true, None)]);
}

#[test]
fn a_cast_that_was_sent_is_not_resent() {
    let mut harness = Harness::connected(1, 1_000);
    harness.cast(1);
    harness.cast(2);
    harness.lose_connection();
    let actions = harness.connect(1, 10, 1_000);
    assert_eq!(requests(&actions), [(2, false, Some(2))]);
}

#[test]
fn open_calls_wait_for_their_deadline_while_disconnected() {
    let mut harness = Harness::connected(10, 1_000);
    harness.call(1);
    harness.call_within(2, ms(5_000));
    harness.lose_connection();
    harness.broker_answers_pings = false;
    let actions = harness.pass(ms(5_100));
    assert_eq!(failed(&actions), [(2, Code::DeadlineExceeded, Executed::Maybe)]);
    let (_, failure) = failures(&actions).next().unwrap();
    assert!(failure.message.ends_with("the connection to the broker is lost"), "{}", failure.message);
    assert_eq!(harness.client.open_len(), 1, "a call without a timeout still waits");
}

#[test]
fn a_resend_has_the_remaining_timeout_and_an_expired_call_is_not_resent() {
    let mut harness = Harness::connected(10, 1_000);
    let start = harness.now;
    harness.call_within(1, ms(5_000));
    harness.call_within(2, ms(9_000));
    harness.lose_connection();
    harness.event(Event::Timeout);
    harness.now = start + ms(5_050);
    let actions = harness.connect(2, 10, 1_000);
    let resent: Vec<_> = sent(&actions).map(|request| (request.number.0, request.timeout.unwrap())).collect();
    assert_eq!(resent, [(2, ms(3_950))]);
    assert_eq!(failed(&harness.pass(ms(50))), [(1, Code::DeadlineExceeded, Executed::Maybe)]);
}

#[test]
fn a_cancel_while_disconnected_is_sent_to_the_same_start_and_not_to_a_new_one() {
    for (start, is_sent) in [(1, true), (2, false)] {
        let mut harness = Harness::connected(10, 1_000);
        harness.call(1);
        harness.lose_connection();
        assert_eq!(harness.cancel(1), [released(1)]);
        let actions = harness.connect(start, 10, 1_000);
        assert_eq!(actions, if is_sent { vec![cancels(1, None)] } else { vec![] });
    }
}

#[test]
fn a_reply_after_the_goodbye_of_the_broker_is_ignored() {
    let mut harness = Harness::connected(10, 1_000);
    harness.call(1);
    let actions = harness.receive(&[goodbye(Code::Unavailable), reply(1, result())]);
    assert_eq!(actions, [Action::Disconnect]);
    assert_eq!(harness.client.open_len(), 1);
}

#[test]
fn after_an_unavailable_goodbye_the_client_reconnects_with_its_calls() {
    let mut harness = Harness::connected(10, 1_000);
    harness.call(1);
    harness.receive(&[goodbye(Code::Unavailable)]);
    assert!(matches!(
        harness.diagnostics.last(),
        Some(Diagnostic::Disconnected { reason: DisconnectReason::Goodbye(_), open: 1 })
    ));
    harness.lose_connection();
    assert_eq!(requests(&harness.connect(2, 10, 1_000)), [(1, true, None)]);
}

#[test]
fn a_silent_broker_is_disconnected_and_the_client_reconnects() {
    let mut harness = Harness::connected(10, 1_000);
    harness.broker_answers_pings = false;
    let actions = harness.pass(HEARTBEAT_DEFAULT * 3);
    assert_eq!(actions, [Action::Disconnect]);
    assert!(matches!(
        harness.diagnostics.last(),
        Some(Diagnostic::Disconnected { reason: DisconnectReason::HeartbeatTimeout, .. })
    ));
    assert_eq!(harness.pass(ms(60_000)), [], "the driver drops the socket first");
    harness.lose_connection();
    assert_eq!(harness.pass(ms(10)), [Action::Connect]);
}

#[test]
fn a_client_that_makes_calls_all_the_time_sends_no_pings() {
    let mut harness = Harness::connected(u32::MAX, u64::MAX);
    for name in 0..3_000 {
        harness.now = harness.now + ms(1);
        assert_eq!(numbers(&harness.call(name)), [name + 1]);
        assert_eq!(harness.receive(&[reply(name + 1, result())]), [completed(name)]);
        assert_eq!(harness.event(Event::Timeout), []);
    }
}

#[test]
fn a_body_too_large_for_the_new_start_fails_its_call_with_executed_maybe() {
    let mut harness = Harness::connected(10, 1_000);
    harness.call_of_size(1, 900);
    harness.call(2);
    harness.lose_connection();
    let mut smaller = welcome_body(2, 10, 1_000);
    smaller.message_bytes_max = HEADER_BYTES_MAX as u64 + 500;
    let actions = harness.connect_with(Envelope::Welcome(body::encode(&smaller).unwrap()));
    assert_eq!(failed(&actions), [(1, Code::ResourceExhausted, Executed::Maybe)]);
    assert_eq!(requests(&actions), [(2, true, Some(2))]);
}

#[test]
fn a_cancel_that_may_be_lost_is_sent_again_until_done_below_covers_it() {
    let mut harness = Harness::connected(10, 1_000);
    (1..=3).for_each(|name| drop(harness.call(name)));
    harness.cancel(2);
    let cancels = |actions: &[Action<u64>]| {
        let cancel = |action: &Action<u64>| match action {
            Action::Send(Envelope::Cancel(cancel)) => Some(cancel.number),
            _ => None,
        };
        actions.iter().filter_map(cancel).collect::<Vec<_>>()
    };
    harness.lose_connection();
    assert_eq!(cancels(&harness.connect(1, 10, 1_000)), [2]);
    harness.receive(&[reply(1, result())]);
    harness.call(4);
    harness.lose_connection();
    assert_eq!(cancels(&harness.connect(1, 10, 1_000)), Vec::<u64>::new(), "done_below covers the cancelled call");
}
