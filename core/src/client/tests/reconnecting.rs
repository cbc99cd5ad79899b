//! Losing the broker, and coming back to it.

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
fn to_the_same_start_all_open_calls_are_sent_again_in_order_before_new_ones() {
    let mut stage = Stage::connected(10, 1_000);
    stage.call(1);
    stage.event(Event::Call(once(2, stage.now)));
    stage.call(3);
    stage.hear(&[reply(1, five())]);
    stage.lose_connection();
    stage.call(4);
    let actions = stage.join(1, 10, 1_000);
    assert_eq!(requests(&actions), [(2, true, Some(2)), (3, true, None), (4, false, None)]);
    assert_eq!(stage.client.counters().resent, 2);
    assert_eq!(stage.hear(&[reply(2, five()), reply(3, five())]), [answered(2), answered(3)]);
}

#[test]
fn resends_use_the_fresh_credit_and_what_does_not_fit_waits_for_more() {
    let mut stage = Stage::connected(10, 1_000);
    for name in 1..=4 {
        stage.call(name);
    }
    stage.lose_connection();
    stage.call(5);
    let actions = stage.join(1, 2, 1_000);
    assert_eq!(requests(&actions), [(1, true, None), (2, true, None)]);
    let two_more = Envelope::Credit(Credit { calls: 2, bytes: 0, offer: 0 });
    assert_eq!(requests(&stage.hear(&[reply(1, five()), two_more.clone()])), [(3, true, Some(2)), (4, true, None)]);
    assert_eq!(requests(&stage.hear(&[two_more])), [(5, false, None)]);
}

#[test]
fn to_a_new_start_a_call_declared_once_is_not_sent_again() {
    let mut stage = Stage::connected(10, 1_000);
    stage.call(1);
    stage.event(Event::Call(once(2, stage.now)));
    stage.lose_connection();
    stage.event(Event::Call(once(3, stage.now)));
    let actions = stage.join(2, 10, 1_000);
    assert_eq!(failed(&actions), [(2, Code::Unavailable, Executed::Maybe)]);
    assert_eq!(requests(&actions), [(1, true, None), (3, false, None)], "one that was not sent yet is");
}

#[test]
fn a_caller_that_declared_less_than_once_has_its_call_sent_to_a_new_start() {
    for effect in [Effect::Read, Effect::Idempotent] {
        let mut stage = Stage::connected(10, 1_000);
        stage.event(Event::Call(NewCall { effect: Some(effect), ..new(1, stage.now) }));
        stage.lose_connection();
        assert_eq!(requests(&stage.join(2, 10, 1_000)), [(1, true, None)]);
    }
}

#[test]
fn done_below_is_said_anew_on_each_connection() {
    let mut stage = Stage::connected(10, 1_000);
    stage.call(1);
    stage.call(2);
    stage.hear(&[reply(1, five())]);
    assert_eq!(requests(&stage.call(3)), [(3, false, Some(2))]);
    stage.lose_connection();
    assert_eq!(requests(&stage.join(2, 10, 1_000)), [(2, true, Some(2)), (3, true, None)]);
}

#[test]
fn a_cast_that_was_sent_is_forgotten() {
    let mut stage = Stage::connected(1, 1_000);
    stage.cast(1);
    stage.cast(2);
    stage.lose_connection();
    let actions = stage.join(1, 10, 1_000);
    assert_eq!(requests(&actions), [(2, false, Some(2))]);
}

#[test]
fn while_apart_open_calls_wait_for_their_deadline() {
    let mut stage = Stage::connected(10, 1_000);
    stage.call(1);
    stage.call_within(2, ms(5_000));
    stage.lose_connection();
    stage.broker_lives = false;
    let actions = stage.pass(ms(5_100));
    assert_eq!(failed(&actions), [(2, Code::DeadlineExceeded, Executed::Maybe)]);
    let (_, failure) = failures(&actions).next().unwrap();
    assert!(failure.message.ends_with("the connection to the broker is lost"), "{}", failure.message);
    assert_eq!(stage.client.open_len(), 1, "a call without a time-out waits on");
}

#[test]
fn a_resend_says_the_time_that_is_left_and_an_expired_call_is_not_sent_again() {
    let mut stage = Stage::connected(10, 1_000);
    let begun = stage.now;
    stage.call_within(1, ms(5_000));
    stage.call_within(2, ms(9_000));
    stage.lose_connection();
    stage.event(Event::Timeout);
    stage.now = begun + ms(5_050);
    let actions = stage.join(2, 10, 1_000);
    let again: Vec<_> = sent(&actions).map(|request| (request.number.0, request.timeout.unwrap())).collect();
    assert_eq!(again, [(2, ms(3_950))]);
    assert_eq!(failed(&stage.pass(ms(50))), [(1, Code::DeadlineExceeded, Executed::Maybe)]);
}

#[test]
fn a_call_cancelled_while_apart_is_cancelled_at_the_same_start_and_forgotten_at_a_new_one() {
    for (start, told) in [(1, true), (2, false)] {
        let mut stage = Stage::connected(10, 1_000);
        stage.call(1);
        stage.lose_connection();
        assert_eq!(stage.cancel(1), [done(1)]);
        let actions = stage.join(start, 10, 1_000);
        assert_eq!(actions, if told { vec![cancels(1, None)] } else { vec![] });
    }
}

#[test]
fn a_reply_of_a_connection_that_was_given_up_is_not_heard() {
    let mut stage = Stage::connected(10, 1_000);
    stage.call(1);
    let actions = stage.hear(&[goodbye(Code::Unavailable), reply(1, five())]);
    assert_eq!(actions, [Action::Disconnect]);
    assert_eq!(stage.client.open_len(), 1);
}

#[test]
fn sent_away_as_unavailable_it_comes_back_with_its_calls() {
    let mut stage = Stage::connected(10, 1_000);
    stage.call(1);
    stage.hear(&[goodbye(Code::Unavailable)]);
    assert!(matches!(
        stage.notes.last(),
        Some(Diagnostic::Disconnected { reason: DisconnectReason::Goodbye(_), open: 1 })
    ));
    stage.lose_connection();
    assert_eq!(requests(&stage.join(2, 10, 1_000)), [(1, true, None)]);
}

#[test]
fn a_silent_broker_is_given_up_and_tried_again() {
    let mut stage = Stage::connected(10, 1_000);
    stage.broker_lives = false;
    let actions = stage.pass(HEARTBEAT_DEFAULT * 3);
    assert_eq!(actions, [Action::Disconnect]);
    assert!(matches!(
        stage.notes.last(),
        Some(Diagnostic::Disconnected { reason: DisconnectReason::HeartbeatTimeout, .. })
    ));
    assert_eq!(stage.pass(ms(60_000)), [], "the driver drops the socket first");
    stage.lose_connection();
    assert_eq!(stage.pass(ms(10)), [Action::Connect]);
}

#[test]
fn a_client_with_thousands_of_calls_under_way_needs_no_pings() {
    let mut stage = Stage::connected(u32::MAX, u64::MAX);
    for name in 0..3_000 {
        stage.now = stage.now + ms(1);
        assert_eq!(numbers(&stage.call(name)), [name + 1]);
        assert_eq!(stage.hear(&[reply(name + 1, five())]), [answered(name)]);
        assert_eq!(stage.event(Event::Timeout), []);
    }
}

#[test]
fn a_body_too_large_for_the_new_start_ends_its_call_as_maybe() {
    let mut stage = Stage::connected(10, 1_000);
    stage.call_of_size(1, 900);
    stage.call(2);
    stage.lose_connection();
    let mut smaller = welcome_body(2, 10, 1_000);
    smaller.message_bytes_max = HEADER_BYTES_MAX as u64 + 500;
    let actions = stage.join_with(Envelope::Welcome(body::encode(&smaller).unwrap()));
    assert_eq!(failed(&actions), [(1, Code::ResourceExhausted, Executed::Maybe)]);
    assert_eq!(requests(&actions), [(2, true, Some(2))]);
}

#[test]
fn a_cancel_that_may_be_lost_with_its_connection_is_told_again_until_all_before_it_is_done() {
    let mut stage = Stage::connected(10, 1_000);
    (1..=3).for_each(|name| drop(stage.call(name)));
    stage.cancel(2);
    let cancels = |actions: &[Action<u64>]| {
        let cancel = |action: &Action<u64>| match action {
            Action::Send(Envelope::Cancel(cancel)) => Some(cancel.number),
            _ => None,
        };
        actions.iter().filter_map(cancel).collect::<Vec<_>>()
    };
    stage.lose_connection();
    assert_eq!(cancels(&stage.join(1, 10, 1_000)), [2]);
    stage.hear(&[reply(1, five())]);
    stage.call(4);
    stage.lose_connection();
    assert_eq!(cancels(&stage.join(1, 10, 1_000)), Vec::<u64>::new(), "below what is done there is nothing to cancel");
}
