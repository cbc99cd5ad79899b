//! Closing.

use super::*;
use crate::{peer::simulated_broker::goodbye, wire::envelope::Credit};

const GOODBYE: Action<u64> = Action::Send(Envelope::Goodbye(None));

#[test]
fn a_close_ends_all_calls_says_goodbye_and_waits_for_the_answer() {
    let mut stage = Stage::connected(1, 1_000);
    stage.call(1);
    stage.call(2);
    let actions = stage.close_within(ms(5_000));
    assert_eq!(failed(&actions), [(1, Code::Cancelled, Executed::Maybe), (2, Code::Cancelled, Executed::No)]);
    assert_eq!(actions.last(), Some(&GOODBYE), "it covers what is open: nothing is cancelled one by one");
    assert_eq!(actions.len(), 3);
    assert_eq!(stage.hear(&[reply(1, five())]), [], "what still comes is not heard");
    assert_eq!(stage.hear(&[Envelope::Goodbye(None)]), [Action::Disconnect, Action::Closed]);
    assert_eq!(stage.lose_connection(), []);
    assert_eq!(stage.client.poll_timeout(), None);
}

#[test]
fn casts_that_wait_are_still_sent_as_credit_comes() {
    let mut stage = Stage::connected(1, 1_000);
    for name in 1..=3 {
        stage.cast(name);
    }
    assert_eq!(stage.close_within(ms(5_000)), []);
    let more = Envelope::Credit(Credit { calls: 1, bytes: 100, offer: 0 });
    let actions = stage.hear(std::slice::from_ref(&more));
    assert_eq!((numbers(&actions), actions.last()), (vec![2], Some(&done(2))));
    let actions = stage.hear(&[more]);
    assert_eq!(numbers(&actions), [3]);
    assert_eq!(actions.last(), Some(&GOODBYE));
}

#[test]
fn at_the_close_deadline_casts_are_given_up() {
    let mut stage = Stage::connected(0, 1_000);
    stage.cast(1);
    assert_eq!(stage.close_within(ms(500)), []);
    assert_eq!(stage.pass(ms(499)), []);
    assert_eq!(stage.pass(ms(1)), [Action::Disconnect, done(1), Action::Closed]);
    assert_eq!(stage.client.counters().casts_dropped, 1);
}

#[test]
fn a_goodbye_that_is_not_answered_is_waited_for_until_the_deadline() {
    let mut stage = Stage::connected(1, 1_000);
    assert_eq!(stage.close_within(ms(500)), [GOODBYE]);
    assert_eq!(stage.pass(ms(499)), []);
    assert_eq!(stage.pass(ms(1)), [Action::Disconnect, Action::Closed]);
}

#[test]
fn a_connection_lost_after_goodbye_completes_the_close() {
    let mut stage = Stage::connected(1, 1_000);
    stage.close_within(ms(500));
    assert_eq!(stage.lose_connection(), [Action::Closed]);
}

#[test]
fn closing_while_apart_is_done_at_once_unless_casts_wait() {
    let mut stage = Stage::new();
    stage.call(1);
    let actions = stage.close_within(ms(500));
    assert_eq!(failed(&actions), [(1, Code::Cancelled, Executed::No)]);
    assert_eq!(actions.last(), Some(&Action::Closed));
    let mut stage = Stage::new();
    stage.event(Event::Timeout);
    assert_eq!(stage.close_within(ms(500)), [Action::Disconnect, Action::Closed], "a socket that connects is dropped");
}

#[test]
fn casts_that_wait_bring_the_client_back_until_the_deadline() {
    let mut stage = Stage::new();
    stage.cast(1);
    assert_eq!(stage.close_within(ms(5_000)), []);
    let actions = stage.join(1, 10, 1_000);
    assert_eq!(numbers(&actions), [1]);
    assert_eq!(actions.last(), Some(&GOODBYE));
    let mut stage = Stage::connected(0, 1_000);
    stage.cast(1);
    stage.close_within(ms(5_000));
    assert_eq!(stage.lose_connection(), []);
    assert_eq!(stage.client.waiting_len(), 1);
    assert_eq!(numbers(&stage.join(2, 10, 1_000)), [1]);
}

#[test]
fn a_client_that_closes_or_is_closed_takes_no_calls() {
    let mut stage = Stage::connected(1, 1_000);
    stage.close_within(ms(500));
    assert_eq!(failed(&stage.call(1)), [(1, Code::Cancelled, Executed::No)]);
    assert_eq!(stage.cast(2), [done(2)]);
    stage.hear(&[Envelope::Goodbye(None)]);
    assert_eq!(failed(&stage.call(3)), [(3, Code::Cancelled, Executed::No)]);
    assert_eq!(stage.close_within(ms(500)), [], "closed is closed");
}

#[test]
fn a_second_close_can_only_hurry_the_first() {
    let mut stage = Stage::connected(1, 1_000);
    assert_eq!(stage.close_within(ms(500)), [GOODBYE]);
    assert_eq!(stage.close_within(ms(9_000)), []);
    assert_eq!(stage.pass(ms(499)), []);
    assert_eq!(stage.close_within(Duration::ZERO), [Action::Disconnect, Action::Closed]);
}

#[test]
fn a_client_that_is_refused_while_it_closes_is_closed() {
    let mut stage = Stage::connected(0, 1_000);
    stage.cast(1);
    stage.close_within(ms(500));
    let actions = stage.hear(&[goodbye(Code::ResourceExhausted)]);
    assert!(matches!(
        actions[..],
        [Action::Disconnect, Action::Rejected(_), Action::Release { token: 1 }, Action::Closed]
    ));
}
