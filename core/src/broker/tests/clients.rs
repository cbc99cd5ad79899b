//! Sessions of clients: call numbers, resends, the reply cache, and credit.

use bytes::Bytes;

use super::harness::{Harness, calc, request, seconds};
use crate::{
    broker::{Event, Settings},
    wire::{
        Bundler, Envelope,
        envelope::{Cancel, Credit, Ping},
        ids::CallNumber,
        limits::{SESSION_OUTCOME_BYTES_MAX, SESSION_OUTCOMES_MAX},
        status::{Code, Executed},
    },
};

#[test]
fn a_repeated_request_runs_once_and_is_answered_again() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(4));
    let client = harness.client(2);
    harness.call(client, 1, "calc.pay");
    harness.call(client, 1, "calc.pay");
    let sent = harness.dispatches(worker);
    assert_eq!(sent.len(), 1, "an open call is not run again");
    harness.reply(worker, &sent[0], b"\x05");
    harness.call(client, 1, "calc.pay");
    assert!(harness.dispatches(worker).is_empty(), "an answered call is not run again");
    let replies = harness.replies(client);
    assert_eq!(replies, [(1, Ok(Bytes::from_static(b"\x05"))), (1, Ok(Bytes::from_static(b"\x05")))]);
}

#[test]
fn the_reply_cache_of_a_client_is_bounded_in_count() {
    let mut harness = Harness::new();
    let client = harness.client(2);
    let last = SESSION_OUTCOMES_MAX as u64 + 3;
    let mut bundler = Bundler::new();
    (1..=last).for_each(|number| bundler.push(&Envelope::Request(request(number, "callboard.ping"))));
    bundler.take().for_each(|frames| harness.send_frames(client, &frames.to_vec()));
    harness.received(client);
    assert_eq!(harness.broker.cached_replies(), SESSION_OUTCOMES_MAX);
    harness.call(client, 3, "callboard.ping");
    assert!(harness.replies(client).is_empty(), "the oldest replies were evicted");
    [4, last].into_iter().for_each(|number| harness.call(client, number, "callboard.ping"));
    assert_eq!(harness.replies(client).len(), 2, "cached replies are sent again");
}

#[test]
fn the_reply_cache_of_a_client_is_bounded_in_bytes() {
    static LARGE: [u8; SESSION_OUTCOME_BYTES_MAX / 8] = [0; _];
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(10)), harness.client(2));
    (1..=8).for_each(|number| harness.call(client, number, "calc.pay"));
    harness.dispatches(worker).iter().for_each(|dispatch| harness.reply(worker, dispatch, &LARGE));
    harness.received(client);
    assert_eq!(harness.broker.cached_replies(), 7, "the metadata of a cached reply counts as well as its body");
    [1, 2].into_iter().for_each(|number| harness.call(client, number, "calc.pay"));
    assert_eq!(harness.replies(client).iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2]);
}

#[test]
fn an_open_call_below_done_below_is_cancelled() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let client = harness.client(2);
    (1..=2).for_each(|number| harness.call(client, number, "calc.add"));
    let running = harness.dispatches(worker).pop().unwrap();
    harness.handle(Event::Closed { connection: client });
    let again = harness.reconnect_client(2, 2);
    harness.send(again, Envelope::Ping(Ping { number: 1, done_below: Some(CallNumber(3)) }));
    assert_eq!(harness.received(worker), [Envelope::Cancel(Cancel { number: running.number.0, done_below: None })]);
    harness.reply(worker, &running, b"\x00");
    assert!(harness.dispatches(worker).is_empty(), "the waiting call never starts");
    assert_eq!(harness.received(again), [Envelope::Pong(1)]);
    assert_eq!(harness.broker.status(harness.now).open, 0);
}

#[test]
fn a_request_with_an_acknowledged_number_is_dropped() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(4));
    let client = harness.client(2);
    harness.call(client, 1, "calc.pay");
    let dispatch = harness.dispatches(worker).pop().unwrap();
    harness.reply(worker, &dispatch, b"\x05");
    harness.send(client, Envelope::Ping(Ping { number: 1, done_below: Some(CallNumber(2)) }));
    harness.received(client);
    harness.call(client, 1, "calc.pay");
    assert!(harness.dispatches(worker).is_empty());
    assert!(harness.replies(client).is_empty());
}

#[test]
fn a_reconnected_client_receives_its_replies() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(4));
    let client = harness.client(2);
    (1..=2).for_each(|number| harness.call(client, number, "calc.pay"));
    let sent = harness.dispatches(worker);
    harness.handle(Event::Closed { connection: client });
    harness.reply(worker, &sent[0], b"\x05");
    let again = harness.reconnect_client(2, 2);
    for number in 1..=2 {
        let mut resend = request(number, "calc.pay");
        resend.flags.resend = true;
        harness.send(again, Envelope::Request(resend));
    }
    assert_eq!(harness.replies(again), [(1, Ok(Bytes::from_static(b"\x05")))]);
    harness.reply(worker, &sent[1], b"\x06");
    assert_eq!(harness.replies(again), [(2, Ok(Bytes::from_static(b"\x06")))]);
    assert!(harness.dispatches(worker).is_empty());
}

#[test]
fn an_unknown_resend_runs_only_if_it_is_not_once() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(4));
    let client = harness.reconnect_client(2, 2);
    for (number, method) in [(5, "calc.pay"), (6, "calc.add"), (7, "calc.push")] {
        let mut resend = request(number, method);
        resend.flags.resend = true;
        harness.send(client, Envelope::Request(resend));
    }
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::Maybe));
    let methods: Vec<_> = harness.dispatches(worker).iter().map(|d| d.method.method().to_owned()).collect();
    assert_eq!(methods, ["add", "push"]);
}

#[test]
fn a_resend_above_every_new_call_number_was_never_received_and_runs() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(4));
    let client = harness.client(2);
    harness.call(client, 1, "calc.add");
    harness.handle(Event::Closed { connection: client });
    let again = harness.reconnect_client(2, 2);
    harness.dispatches(worker);
    let mut lost_in_transit = request(2, "calc.pay");
    lost_in_transit.flags.resend = true;
    harness.send(again, Envelope::Request(lost_in_transit));
    assert_eq!(harness.dispatches(worker).len(), 1);
}

#[test]
fn after_a_broker_restart_no_resend_counts_as_new() {
    // A case found during the design: the numbers of an earlier start must not look new because lower ones were resent.
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(4));
    let client = harness.reconnect_client(2, 2);
    let mut resend = request(5, "calc.add");
    resend.flags.resend = true;
    harness.send(client, Envelope::Request(resend));
    harness.handle(Event::Closed { connection: client });
    let again = harness.reconnect_client(2, 3);
    harness.dispatches(worker);
    let mut resend = request(6, "calc.pay");
    resend.flags.resend = true;
    harness.send(again, Envelope::Request(resend));
    assert!(harness.dispatches(worker).is_empty());
    assert_eq!(harness.failure(again).executed, Executed::Maybe);
}

#[test]
fn calls_of_a_disconnected_client_stay_for_two_heartbeats() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let client = harness.client(2);
    (1..=2).for_each(|number| harness.call(client, number, "calc.add"));
    let dispatch = harness.dispatches(worker).pop().unwrap();
    harness.handle(Event::Closed { connection: client });
    harness.advance_with(seconds(1), &[worker]);
    assert_eq!(harness.broker.status(harness.now).open, 2);
    harness.advance_with(seconds(2), &[worker]);
    assert_eq!(
        harness.broker.status(harness.now).open,
        1,
        "the waiting call is dropped, the running call keeps its slot"
    );
    assert!(
        matches!(harness.received(worker).as_slice(), [Envelope::Cancel(cancel)] if cancel.number == dispatch.number.0)
    );
}

#[test]
fn a_client_shutdown_cancels_its_calls_but_not_its_casts() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let client = harness.client(2);
    harness.call(client, 1, "calc.add");
    harness.call(client, 2, "calc.add");
    let mut cast = request(3, "calc.push");
    cast.flags.cast = true;
    harness.send(client, Envelope::Request(cast));
    let first = harness.dispatches(worker).pop().unwrap();
    harness.send(client, Envelope::Goodbye(None));
    assert_eq!(harness.received(client), [Envelope::Goodbye(None)]);
    harness.reply(worker, &first, b"\x00");
    let next = harness.dispatches(worker);
    assert_eq!((next.len(), next[0].method.method()), (1, "push"));
}

#[test]
fn credit_is_granted_again_at_half_the_window() {
    let window = Settings { credit_calls: 4, ..Settings::default() };
    let mut harness = Harness::just_started(window);
    let worker = harness.worker(1, calc(8));
    let client = harness.client(2);
    (1..=4).for_each(|number| harness.call(client, number, "calc.add"));
    let sent = harness.dispatches(worker);
    let mut granted = Vec::new();
    for dispatch in &sent {
        harness.reply(worker, dispatch, b"\x00");
        for envelope in harness.received(client) {
            if let Envelope::Reply(reply) = envelope {
                granted.push(reply.credit);
            }
        }
    }
    let two = Some(Credit { calls: 2, bytes: 2, offer: 0 });
    assert_eq!(granted, [None, two, None, two]);
}

#[test]
fn exceeding_the_credit_closes_the_connection() {
    let mut harness = Harness::just_started(Settings { credit_calls: 2, ..Settings::default() });
    harness.worker(1, calc(1));
    let client = harness.client(2);
    (1..=3).for_each(|number| harness.call(client, number, "calc.add"));
    assert_eq!(harness.disconnect_reason(client).code, Code::ResourceExhausted);
}

#[test]
fn credit_of_cancelled_calls_is_granted_again() {
    let mut harness = Harness::just_started(Settings { credit_calls: 2, ..Settings::default() });
    harness.worker(1, calc(1));
    let client = harness.client(2);
    for number in 1..=20 {
        harness.call(client, number, "calc.add");
        let cancel = crate::wire::envelope::Cancel { number, done_below: None };
        harness.send(client, Envelope::Cancel(cancel));
    }
    assert!(!harness.closed.contains(&client));
}

#[test]
fn a_malformed_request_returns_its_credit() {
    let mut harness = Harness::just_started(Settings { credit_calls: 2, ..Settings::default() });
    let client = harness.client(1);
    // {0: 5, 1: 1, 2: "c.a", 40: 1}, with a body of one byte.
    let malformed = Bytes::from_static(b"\xa4\x00\x05\x01\x01\x02\x63c.a\x18\x28\x01\x41\x80");
    (0..20).for_each(|_| harness.send_frames(client, std::slice::from_ref(&malformed)));
    assert!(!harness.closed.contains(&client));
}

#[test]
fn a_malformed_request_with_a_call_number_is_answered() {
    let mut harness = Harness::new();
    let client = harness.client(1);
    // {0: 5, 1: 9, 2: "calc.add", 40: 1}: key 40 is critical and unknown.
    let header = b"\xa4\x00\x05\x01\x09\x02\x68calc.add\x18\x28\x01";
    harness.send_frames(client, &[Bytes::from([header.as_slice(), b"\x41\x80"].concat())]);
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::Unimplemented, Executed::No));
    assert_eq!(harness.broker.counters().refused, 1);
}

#[test]
fn a_malformed_request_does_not_complete_the_open_call_with_its_number() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let client = harness.client(2);
    harness.call(client, 5, "calc.add");
    let dispatch = harness.dispatches(worker).pop().unwrap();
    // {0: 60, 1: 5}: a kind of a later version, with the number of the open call.
    harness.send_frames(client, &[Bytes::from_static(b"\xa2\x00\x18\x3c\x01\x05\x40")]);
    assert!(harness.replies(client).is_empty());
    harness.reply(worker, &dispatch, b"\x00");
    assert_eq!(harness.replies(client).len(), 1);
}
