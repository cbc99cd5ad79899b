//! Calls, casts, cancels, credit.

use super::*;
use crate::{
    peer::simulated_broker::goodbye,
    wire::{
        envelope::{Credit, Effect, Priority},
        kind::Kind,
        limits::{HEADER_BYTES_MAX, MESSAGE_BYTES_MAX},
        status::Timings,
    },
};

#[test]
fn a_call_waits_for_the_broker_then_is_sent_and_its_reply_is_its_outcome() {
    let mut stage = Stage::new();
    assert_eq!(stage.call(1), []);
    assert_eq!((stage.client.waiting_len(), stage.client.open_len()), (1, 0));
    let actions = stage.join(1, 10, 1_000);
    assert_eq!(requests(&actions), [(1, false, None)]);
    assert_eq!((stage.client.waiting_len(), stage.client.open_len()), (0, 1));
    assert_eq!(stage.hear(&[reply(1, five())]), [answered(1)]);
    assert_eq!(stage.client.open_len(), 0);
}

#[test]
fn a_request_says_all_that_the_caller_said() {
    let mut stage = Stage::connected(10, 1_000);
    let timeout = Some(Timeout { span: ms(5_000), source: TimeoutSource::Call });
    let extensions = Bytes::from_static(&[0x18, 0x40, 0x61, b'x']);
    let made = stage.now;
    stage.now = stage.now + ms(2_000);
    let effect = Some(Effect::Once);
    let call = NewCall {
        timeout,
        effect,
        priority: Priority::High,
        wait_for_ready: true,
        extensions: extensions.clone(),
        ..new(1, made)
    };
    let actions = stage.event(Event::Call(call));
    let request = sent(&actions).next().unwrap();
    assert_eq!(request.timeout, Some(ms(3_000)), "what is left of it at sending");
    assert_eq!((request.method.as_str(), &request.body[..]), ("calculator.add", &[0x82, 2, 3][..]));
    assert_eq!((request.effect, request.priority), (Some(Effect::Once), Priority::High));
    assert_eq!(request.extensions, extensions);
    assert!(request.flags.wait_for_ready && !request.flags.cast && !request.flags.resend);
}

#[test]
fn a_failure_reaches_its_caller_as_the_broker_said_it() {
    let mut stage = Stage::connected(10, 1_000);
    stage.call(1);
    let timings = Timings { client: ms(0), queued: ms(20), running: ms(300) };
    let failure = Failure {
        attempt: 2,
        worker: "jobs-1".into(),
        timings,
        ..Failure::new(Code::Unknown, Executed::Yes, "division by zero")
    };
    let actions = stage.hear(&[reply(1, Err(Box::new(failure.clone())))]);
    let call = Some("07070707-1".parse().unwrap());
    let named = Box::new(Failure { call, ..failure });
    assert_eq!(actions, [Action::Complete { token: 1, outcome: Err(named) }], "with the name of its call");
}

#[test]
fn numbers_are_given_in_the_order_of_sending_without_gaps() {
    let mut stage = Stage::new();
    for name in [40, 10, 30, 20] {
        stage.call(name);
    }
    stage.cancel(10);
    let actions = stage.join(1, 10, 1_000);
    assert_eq!(numbers(&actions), [1, 2, 3]);
    let replies = [reply(1, five()), reply(2, five()), reply(3, five())];
    assert_eq!(stage.hear(&replies), [answered(40), answered(30), answered(20)]);
}

#[test]
fn what_credit_does_not_allow_waits_and_credit_adds_up() {
    let mut stage = Stage::connected(2, 1_000);
    for name in 1..=5 {
        stage.call(name);
    }
    assert_eq!((stage.client.open_len(), stage.client.waiting_len()), (2, 3));
    let rides_along = Some(Credit { calls: 1, bytes: 100, offer: 0 });
    let first = Reply { number: 1, outcome: five(), credit: rides_along, extensions: Bytes::new() };
    assert_eq!(numbers(&stage.hear(&[Envelope::Reply(first)])), [3]);
    assert_eq!(numbers(&stage.hear(&[Envelope::Credit(Credit { calls: 7, bytes: 0, offer: 0 })])), [4, 5]);
    assert_eq!(stage.client.credit, Credit { calls: 5, bytes: 1_000 + 100 - 5 * 3, offer: 0 });
}

#[test]
fn credit_of_a_wild_broker_saturates() {
    let mut stage = Stage::connected(u32::MAX, u64::MAX);
    let wild = Envelope::Credit(Credit { calls: u32::MAX, bytes: u64::MAX, offer: 0 });
    stage.hear(&[wild.clone(), wild]);
    assert_eq!(stage.client.credit, Credit { calls: u32::MAX, bytes: u64::MAX, offer: 0 });
}

#[test]
fn a_call_that_waits_for_bytes_is_not_overtaken() {
    let mut stage = Stage::connected(10, 100);
    stage.call_of_size(1, 60);
    stage.call_of_size(2, 60);
    stage.call_of_size(3, 10);
    assert_eq!(stage.client.waiting_len(), 2);
    assert_eq!(numbers(&stage.hear(&[Envelope::Credit(Credit { calls: 0, bytes: 60, offer: 0 })])), [2, 3]);
}

#[test]
fn a_call_behind_one_that_is_cancelled_goes_at_once() {
    let mut stage = Stage::connected(10, 100);
    stage.call_of_size(1, 60);
    stage.call_of_size(2, 60);
    stage.call_of_size(3, 10);
    let actions = stage.cancel(2);
    assert_eq!(actions[0], done(2));
    assert_eq!(numbers(&actions), [2]);
}

#[test]
fn a_body_that_the_broker_never_takes_fails_at_once() {
    let mut stage = Stage::connected(10, u64::MAX);
    let most = MESSAGE_BYTES_MAX - HEADER_BYTES_MAX;
    assert_eq!(numbers(&stage.call_of_size(1, most)), [1]);
    assert_eq!(failed(&stage.call_of_size(2, most + 1)), [(2, Code::ResourceExhausted, Executed::No)]);
    assert_eq!(stage.cast(3).last(), Some(&done(3)), "and does not stand in the way of others");
}

#[test]
fn done_below_is_said_when_it_rose_and_only_then() {
    let mut stage = Stage::connected(10, 1_000);
    stage.call(1);
    stage.call(2);
    assert_eq!(requests(&stage.call(3)), [(3, false, None)]);
    stage.hear(&[reply(2, five())]);
    assert_eq!(requests(&stage.call(4)), [(4, false, None)], "1 is still waited for");
    stage.hear(&[reply(1, five())]);
    assert_eq!(requests(&stage.call(5)), [(5, false, Some(3))]);
    assert_eq!(requests(&stage.call(6)), [(6, false, None)]);
    assert_eq!(stage.cancel(3), [cancels(3, Some(4)), done(3)]);
}

#[test]
fn a_ping_says_done_below_where_nothing_else_does() {
    let mut stage = Stage::connected(10, 1_000);
    stage.call(1);
    stage.hear(&[reply(1, five())]);
    stage.now = at(1_000);
    let done_below = Some(CallNumber(2));
    assert_eq!(stage.event(Event::Timeout), [Action::Send(Envelope::Ping(Ping { number: 1, done_below }))]);
}

#[test]
fn where_pongs_put_its_pings_off_done_below_is_said_beside_one() {
    let mut stage = Stage::connected(10, 1_000);
    stage.call(1);
    stage.hear(&[reply(1, five())]);
    let ping = Envelope::Ping(Ping { number: 0, done_below: None });
    let said = Envelope::Ping(Ping { number: 0, done_below: Some(CallNumber(2)) });
    let pong = Action::Send(Envelope::Pong(0));
    assert_eq!(stage.hear(std::slice::from_ref(&ping)), [pong.clone(), Action::Send(said)]);
    assert_eq!(stage.hear(&[ping]), [pong], "and only once");
}

#[test]
fn a_cast_is_done_once_it_is_sent_and_never_before() {
    let mut stage = Stage::connected(2, 1_000);
    let actions = stage.cast(1);
    let request = sent(&actions).next().unwrap();
    assert!(request.flags.cast);
    assert_eq!((request.number, request.done_below), (CallNumber(1), None), "its own header must not call it done");
    assert_eq!(actions.last(), Some(&done(1)));
    assert_eq!(stage.client.open_len(), 0);
    assert_eq!(requests(&stage.call(2)), [(2, false, Some(2))], "the next one's header does");
    assert_eq!(stage.cast(3), [], "casts wait for credit like calls");
}

#[test]
fn a_reply_that_nobody_waits_for_is_dropped_and_counted() {
    let mut stage = Stage::connected(10, 1_000);
    stage.call(1);
    stage.cast(2);
    stage.hear(&[reply(1, five())]);
    assert_eq!(stage.hear(&[reply(1, five()), reply(2, five()), reply(99, five()), reply(u64::MAX, five())]), []);
    assert_eq!(stage.client.counters().late_replies, 4);
    assert_eq!(stage.notes.iter().filter(|note| matches!(note, Diagnostic::LateReply(_))).count(), 4);
}

#[test]
fn cancelling_a_waiting_call_only_gives_its_token_back() {
    let mut stage = Stage::connected(0, 0);
    stage.call(1);
    assert_eq!(stage.cancel(1), [done(1)]);
    assert_eq!(stage.cancel(1), [], "a ticket is good for once");
    assert_eq!(stage.cancel(42), []);
}

#[test]
fn cancelling_an_open_call_tells_the_broker_and_its_reply_is_late() {
    let mut stage = Stage::connected(10, 1_000);
    stage.call(1);
    assert_eq!(stage.cancel(1), [cancels(1, Some(2)), done(1)]);
    assert_eq!(stage.hear(&[reply(1, five())]), []);
    assert_eq!((stage.client.counters().cancelled, stage.client.counters().late_replies), (1, 1));
}

#[test]
fn a_reply_that_cannot_be_read_ends_its_call() {
    let mut stage = Stage::connected(10, 1_000);
    stage.call(1);
    // {0: 7 (reply), 1: 1 (number), 40: 0 (a critical key that nobody knows)} and an empty body.
    let frame = Bytes::from_static(&[0xa3, 0x00, 0x07, 0x01, 0x01, 0x18, 0x28, 0x00, 0x40]);
    let mut out = Vec::new();
    stage.client.handle_message(stage.now, &[frame], &mut out);
    assert_eq!(failed(&out), [(1, Code::Internal, Executed::Maybe)]);
    assert_eq!(stage.client.counters().invalid_envelopes, 1);
}

#[test]
fn nonsense_and_misplaced_envelopes_are_counted_and_change_nothing() {
    let mut stage = Stage::connected(10, 1_000);
    stage.call(1);
    stage.hear(&[
        Envelope::Drain,
        Envelope::Register(Bytes::new()),
        Envelope::Cancel(Cancel { number: 1, done_below: None }),
    ]);
    assert!(stage.notes.contains(&Diagnostic::UnexpectedMessage(Kind::Drain)));
    let mut out = Vec::new();
    for frames in [vec![], vec![Bytes::from_static(b"\xff\xff")], vec![Bytes::new(), Bytes::new(), Bytes::new()]] {
        stage.client.handle_message(stage.now, &frames, &mut out);
    }
    assert!(stage.client.counters().invalid_envelopes >= 3);
    assert_eq!(stage.hear(&[reply(1, five())]), [answered(1)]);
}

#[test]
fn a_client_that_is_refused_ends_every_call_with_that_failure() {
    let mut stage = Stage::connected(2, 1_000);
    for name in 1..=3 {
        stage.call(name);
    }
    stage.cast(4);
    let actions = stage.hear(&[goodbye(Code::ResourceExhausted)]);
    assert_eq!(actions[0], Action::Disconnect);
    assert!(matches!(&actions[1], Action::Rejected(failure) if failure.code == Code::ResourceExhausted));
    let code = Code::ResourceExhausted;
    assert_eq!(failed(&actions), [(1, code, Executed::Maybe), (2, code, Executed::Maybe), (3, code, Executed::No)]);
    assert_eq!(actions.last(), Some(&done(4)));
    assert_eq!(failed(&stage.call(5)), [(5, code, Executed::No)]);
    assert_eq!(stage.lose_connection(), []);
    assert_eq!(stage.client.poll_timeout(), None, "it does not come back");
    assert_eq!(stage.close_within(ms(1)), [Action::Closed]);
}
