//! Tests of calls, casts, cancels and credit.

use super::*;
use crate::{
    peer::simulated_broker::goodbye,
    wire::{
        envelope::{Credit, Effect, Priority},
        extensions::Extensions,
        kind::Kind,
        limits::{HEADER_BYTES_MAX, MESSAGE_BYTES_MAX},
        status::Timings,
    },
};

#[test]
fn a_call_waits_for_the_connection_is_sent_and_completes_with_its_reply() {
    let mut harness = Harness::new();
    assert_eq!(harness.call(1), []);
    assert_eq!((harness.client.waiting_len(), harness.client.open_len()), (1, 0));
    let actions = harness.connect(1, 10, 1_000);
    assert_eq!(requests(&actions), [(1, false, None)]);
    assert_eq!((harness.client.waiting_len(), harness.client.open_len()), (0, 1));
    assert_eq!(harness.receive(&[reply(1, result())]), [completed(1)]);
    assert_eq!(harness.client.open_len(), 0);
}

#[test]
fn a_request_contains_everything_that_the_caller_set() {
    let mut harness = Harness::connected(10, 1_000);
    let timeout = Some(Timeout { span: ms(5_000), source: TimeoutSource::Call });
    let extensions = Extensions::from(Bytes::from_static(&[0x18, 0x40, 0x61, b'x']));
    let made = harness.now;
    harness.now = harness.now + ms(2_000);
    let effect = Some(Effect::Once);
    let call = NewCall {
        timeout,
        effect,
        priority: Priority::High,
        wait_for_ready: true,
        extensions: extensions.clone(),
        ..new(1, made)
    };
    let actions = harness.event(Event::Call(call));
    let request = sent(&actions).next().unwrap();
    assert_eq!(request.timeout, Some(ms(3_000)), "the timeout that remains when it is sent");
    assert_eq!((request.method.as_str(), &request.body[..]), ("calculator.add", &[0x82, 2, 3][..]));
    assert_eq!((request.effect, request.priority), (Some(Effect::Once), Priority::High));
    assert_eq!(request.extensions, extensions);
    assert!(request.flags.wait_for_ready && !request.flags.cast && !request.flags.resend);
}

#[test]
fn a_failure_reaches_its_caller_unchanged_with_the_id_of_the_call() {
    let mut harness = Harness::connected(10, 1_000);
    harness.call(1);
    let timings = Timings { client: ms(0), queued: ms(20), running: ms(300) };
    let failure = Failure {
        attempt: 2,
        worker: "jobs-1".into(),
        timings,
        ..Failure::new(Code::Unknown, Executed::Yes, "division by zero")
    };
    let actions = harness.receive(&[reply(1, Err(Box::new(failure.clone())))]);
    let call = Some("07070707-1".parse().unwrap());
    let with_id = Box::new(Failure { call, ..failure });
    assert_eq!(actions, [Action::Complete { token: 1, outcome: Err(with_id) }]);
}

#[test]
fn calls_are_numbered_in_the_order_of_sending_without_gaps() {
    let mut harness = Harness::new();
    for name in [40, 10, 30, 20] {
        harness.call(name);
    }
    harness.cancel(10);
    let actions = harness.connect(1, 10, 1_000);
    assert_eq!(numbers(&actions), [1, 2, 3]);
    let replies = [reply(1, result()), reply(2, result()), reply(3, result())];
    assert_eq!(harness.receive(&replies), [completed(40), completed(30), completed(20)]);
}

#[test]
fn calls_above_the_credit_wait_and_credit_adds_up() {
    let mut harness = Harness::connected(2, 1_000);
    for name in 1..=5 {
        harness.call(name);
    }
    assert_eq!((harness.client.open_len(), harness.client.waiting_len()), (2, 3));
    let with_reply = Some(Credit { calls: 1, bytes: 100, offer: 0 });
    let first =
        Reply { number: 1, outcome: result(), credit: with_reply, handler_time: None, extensions: Default::default() };
    assert_eq!(numbers(&harness.receive(&[Envelope::Reply(first)])), [3]);
    assert_eq!(numbers(&harness.receive(&[Envelope::Credit(Credit { calls: 7, bytes: 0, offer: 0 })])), [4, 5]);
    assert_eq!(harness.client.credit, Credit { calls: 5, bytes: 1_000 + 100 - 5 * 3, offer: 0 });
}

#[test]
fn excessive_credit_saturates() {
    let mut harness = Harness::connected(u32::MAX, u64::MAX);
    let excessive = Envelope::Credit(Credit { calls: u32::MAX, bytes: u64::MAX, offer: 0 });
    harness.receive(&[excessive.clone(), excessive]);
    assert_eq!(harness.client.credit, Credit { calls: u32::MAX, bytes: u64::MAX, offer: 0 });
}

#[test]
fn a_call_that_waits_for_byte_credit_is_not_overtaken() {
    let mut harness = Harness::connected(10, 100);
    harness.call_of_size(1, 60);
    harness.call_of_size(2, 60);
    harness.call_of_size(3, 10);
    assert_eq!(harness.client.waiting_len(), 2);
    assert_eq!(numbers(&harness.receive(&[Envelope::Credit(Credit { calls: 0, bytes: 60, offer: 0 })])), [2, 3]);
}

#[test]
fn the_call_behind_a_cancelled_one_is_sent_immediately() {
    let mut harness = Harness::connected(10, 100);
    harness.call_of_size(1, 60);
    harness.call_of_size(2, 60);
    harness.call_of_size(3, 10);
    let actions = harness.cancel(2);
    assert_eq!(actions[0], released(2));
    assert_eq!(numbers(&actions), [2]);
}

#[test]
fn a_body_above_the_size_limit_of_the_broker_fails_immediately() {
    let mut harness = Harness::connected(10, u64::MAX);
    let max = MESSAGE_BYTES_MAX - HEADER_BYTES_MAX;
    assert_eq!(numbers(&harness.call_of_size(1, max)), [1]);
    assert_eq!(failed(&harness.call_of_size(2, max + 1)), [(2, Code::ResourceExhausted, Executed::No)]);
    assert_eq!(harness.cast(3).last(), Some(&released(3)), "it does not block other calls");
}

#[test]
fn done_below_is_sent_only_when_it_has_risen() {
    let mut harness = Harness::connected(10, 1_000);
    harness.call(1);
    harness.call(2);
    assert_eq!(requests(&harness.call(3)), [(3, false, None)]);
    harness.receive(&[reply(2, result())]);
    assert_eq!(requests(&harness.call(4)), [(4, false, None)], "call 1 is still open");
    harness.receive(&[reply(1, result())]);
    assert_eq!(requests(&harness.call(5)), [(5, false, Some(3))]);
    assert_eq!(requests(&harness.call(6)), [(6, false, None)]);
    assert_eq!(harness.cancel(3), [cancels(3, Some(4)), released(3)]);
}

#[test]
fn a_ping_carries_done_below_if_no_request_does() {
    let mut harness = Harness::connected(10, 1_000);
    harness.call(1);
    harness.receive(&[reply(1, result())]);
    harness.now = at(1_000);
    let done_below = Some(CallNumber(2));
    assert_eq!(harness.event(Event::Timeout), [Action::Send(Envelope::Ping(Ping { number: 1, done_below }))]);
}

#[test]
fn done_below_is_sent_beside_a_pong_that_postpones_our_ping() {
    let mut harness = Harness::connected(10, 1_000);
    harness.call(1);
    harness.receive(&[reply(1, result())]);
    let ping = Envelope::Ping(Ping { number: 0, done_below: None });
    let with_done_below = Envelope::Ping(Ping { number: 0, done_below: Some(CallNumber(2)) });
    let pong = Action::Send(Envelope::Pong(0));
    assert_eq!(harness.receive(std::slice::from_ref(&ping)), [pong.clone(), Action::Send(with_done_below)]);
    assert_eq!(harness.receive(&[ping]), [pong], "it is sent once");
}

#[test]
fn a_cast_is_done_once_it_is_sent_and_not_before() {
    let mut harness = Harness::connected(2, 1_000);
    let actions = harness.cast(1);
    let request = sent(&actions).next().unwrap();
    assert!(request.flags.cast);
    assert_eq!(
        (request.number, request.done_below),
        (CallNumber(1), CallNumber(0)),
        "its own header does not mark it as done"
    );
    assert_eq!(actions.last(), Some(&released(1)));
    assert_eq!(harness.client.open_len(), 0);
    assert_eq!(requests(&harness.call(2)), [(2, false, Some(2))], "the header of the next cast does");
    assert_eq!(harness.cast(3), [], "casts wait for credit like calls");
}

#[test]
fn a_reply_to_a_call_that_has_ended_is_dropped_and_counted() {
    let mut harness = Harness::connected(10, 1_000);
    harness.call(1);
    harness.cast(2);
    harness.receive(&[reply(1, result())]);
    assert_eq!(
        harness.receive(&[reply(1, result()), reply(2, result()), reply(99, result()), reply(u64::MAX, result())]),
        []
    );
    assert_eq!(harness.client.counters().late_replies, 4);
    assert_eq!(
        harness.diagnostics.iter().filter(|diagnostic| matches!(diagnostic, Diagnostic::LateReply(_))).count(),
        4
    );
}

#[test]
fn cancelling_a_waiting_call_only_releases_its_token() {
    let mut harness = Harness::connected(0, 0);
    harness.call(1);
    assert_eq!(harness.cancel(1), [released(1)]);
    assert_eq!(harness.cancel(1), [], "a call is cancelled once");
    assert_eq!(harness.cancel(42), []);
}

#[test]
fn cancelling_an_open_call_sends_a_cancel_and_its_reply_is_late() {
    let mut harness = Harness::connected(10, 1_000);
    harness.call(1);
    assert_eq!(harness.cancel(1), [cancels(1, Some(2)), released(1)]);
    assert_eq!(harness.receive(&[reply(1, result())]), []);
    assert_eq!((harness.client.counters().cancelled, harness.client.counters().late_replies), (1, 1));
}

#[test]
fn a_malformed_reply_ends_its_call() {
    let mut harness = Harness::connected(10, 1_000);
    harness.call(1);
    // {0: 7 (reply), 1: 1 (number), 40: 0 (an unknown critical key)} and an empty body.
    let frame = Bytes::from_static(&[0xa3, 0x00, 0x07, 0x01, 0x01, 0x18, 0x28, 0x00, 0x40]);
    let mut out = Vec::new();
    harness.client.handle_message(harness.now, &[frame], &mut out);
    assert_eq!(failed(&out), [(1, Code::Internal, Executed::Maybe)]);
    assert_eq!(harness.client.counters().invalid_envelopes, 1);
}

#[test]
fn malformed_and_unexpected_envelopes_are_counted_and_change_nothing() {
    let mut harness = Harness::connected(10, 1_000);
    harness.call(1);
    harness.receive(&[
        Envelope::Drain,
        Envelope::Register(Bytes::new()),
        Envelope::Cancel(Cancel { number: 1, done_below: None }),
    ]);
    assert!(harness.diagnostics.contains(&Diagnostic::UnexpectedMessage(Kind::Drain)));
    let mut out = Vec::new();
    for frames in [vec![], vec![Bytes::from_static(b"\xff\xff")], vec![Bytes::new(), Bytes::new(), Bytes::new()]] {
        harness.client.handle_message(harness.now, &frames, &mut out);
    }
    assert!(harness.client.counters().invalid_envelopes >= 3);
    assert_eq!(harness.receive(&[reply(1, result())]), [completed(1)]);
}

#[test]
fn a_rejected_client_ends_every_call_with_the_failure() {
    let mut harness = Harness::connected(2, 1_000);
    for name in 1..=3 {
        harness.call(name);
    }
    harness.cast(4);
    let actions = harness.receive(&[goodbye(Code::ResourceExhausted)]);
    assert_eq!(actions[0], Action::Disconnect);
    assert!(matches!(&actions[1], Action::Rejected(failure) if failure.code == Code::ResourceExhausted));
    let code = Code::ResourceExhausted;
    assert_eq!(failed(&actions), [(1, code, Executed::Maybe), (2, code, Executed::Maybe), (3, code, Executed::No)]);
    assert_eq!(actions.last(), Some(&released(4)));
    assert_eq!(failed(&harness.call(5)), [(5, code, Executed::No)]);
    assert_eq!(harness.lose_connection(), []);
    assert_eq!(harness.client.poll_timeout(), None, "it does not reconnect");
    assert_eq!(harness.close_within(ms(1)), [Action::Closed]);
}
