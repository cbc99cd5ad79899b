//! Sessions, numbers, credit.

use bytes::Bytes;

use super::stage::{Stage, calc, request, seconds};
use crate::{
    broker::{Event, Settings},
    wire::{
        Bundler, Envelope,
        envelope::{Cancel, Credit, Ping},
        ids::CallNumber,
        limits::{OUTCOME_BYTES_MAX, OUTCOMES_MAX},
        status::{Code, Executed},
    },
};

#[test]
fn a_request_that_comes_twice_runs_once_and_is_answered_again() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(4));
    let client = stage.client(2);
    stage.call(client, 1, "calc.pay");
    stage.call(client, 1, "calc.pay");
    let sent = stage.dispatches(worker);
    assert_eq!(sent.len(), 1, "an open call is not run again");
    stage.answer(worker, &sent[0], b"\x05");
    stage.call(client, 1, "calc.pay");
    assert!(stage.dispatches(worker).is_empty(), "nor is one that was answered");
    let replies = stage.replies(client);
    assert_eq!(replies, [(1, Ok(Bytes::from_static(b"\x05"))), (1, Ok(Bytes::from_static(b"\x05")))]);
}

#[test]
fn what_is_remembered_for_a_client_is_bounded_in_count() {
    let mut stage = Stage::new();
    let client = stage.client(2);
    let last = OUTCOMES_MAX as u64 + 3;
    let mut bundler = Bundler::new();
    (1..=last).for_each(|number| bundler.push(&Envelope::Request(request(number, "callboard.ping"))));
    bundler.take().for_each(|frames| stage.say_frames(client, &frames.to_vec()));
    stage.heard(client);
    assert_eq!(stage.broker.cached_replies(), OUTCOMES_MAX);
    stage.call(client, 3, "callboard.ping");
    assert!(stage.replies(client).is_empty(), "the oldest were pushed out");
    [4, last].into_iter().for_each(|number| stage.call(client, number, "callboard.ping"));
    assert_eq!(stage.replies(client).len(), 2, "the others are answered again");
}

#[test]
fn what_is_remembered_for_a_client_is_bounded_in_bytes() {
    static LARGE: [u8; OUTCOME_BYTES_MAX / 8] = [0; _];
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(10)), stage.client(2));
    (1..=8).for_each(|number| stage.call(client, number, "calc.pay"));
    stage.dispatches(worker).iter().for_each(|dispatch| stage.answer(worker, dispatch, &LARGE));
    stage.heard(client);
    assert_eq!(stage.broker.cached_replies(), 7, "what is known of an outcome beside its body counts as well");
    [1, 2].into_iter().for_each(|number| stage.call(client, number, "calc.pay"));
    assert_eq!(stage.replies(client).iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2]);
}

#[test]
fn an_open_call_below_what_is_done_was_cancelled_and_that_was_lost() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let client = stage.client(2);
    (1..=2).for_each(|number| stage.call(client, number, "calc.add"));
    let running = stage.dispatches(worker).pop().unwrap();
    stage.handle(Event::Closed { connection: client });
    let again = stage.client_again(2, 2);
    stage.say(again, Envelope::Ping(Ping { number: 1, done_below: Some(CallNumber(3)) }));
    assert_eq!(stage.heard(worker), [Envelope::Cancel(Cancel { number: running.number.0, done_below: None })]);
    stage.answer(worker, &running, b"\x00");
    assert!(stage.dispatches(worker).is_empty(), "the one that waited never starts");
    assert_eq!(stage.heard(again), [Envelope::Pong(1)]);
    assert_eq!(stage.broker.status(stage.now).open, 0);
}

#[test]
fn an_acknowledged_number_is_dropped() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(4));
    let client = stage.client(2);
    stage.call(client, 1, "calc.pay");
    let dispatch = stage.dispatches(worker).pop().unwrap();
    stage.answer(worker, &dispatch, b"\x05");
    stage.say(client, Envelope::Ping(Ping { number: 1, done_below: Some(CallNumber(2)) }));
    stage.heard(client);
    stage.call(client, 1, "calc.pay");
    assert!(stage.dispatches(worker).is_empty());
    assert!(stage.replies(client).is_empty());
}

#[test]
fn a_client_that_returns_finds_its_outcomes() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(4));
    let client = stage.client(2);
    (1..=2).for_each(|number| stage.call(client, number, "calc.pay"));
    let sent = stage.dispatches(worker);
    stage.handle(Event::Closed { connection: client });
    stage.answer(worker, &sent[0], b"\x05");
    let again = stage.client_again(2, 2);
    for number in 1..=2 {
        let mut resend = request(number, "calc.pay");
        resend.flags.resend = true;
        stage.say(again, Envelope::Request(resend));
    }
    assert_eq!(stage.replies(again), [(1, Ok(Bytes::from_static(b"\x05")))]);
    stage.answer(worker, &sent[1], b"\x06");
    assert_eq!(stage.replies(again), [(2, Ok(Bytes::from_static(b"\x06")))]);
    assert!(stage.dispatches(worker).is_empty());
}

#[test]
fn a_resend_that_nobody_knows_runs_only_if_it_may() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(4));
    let client = stage.client_again(2, 2);
    for (number, method) in [(5, "calc.pay"), (6, "calc.add"), (7, "calc.push")] {
        let mut resend = request(number, method);
        resend.flags.resend = true;
        stage.say(client, Envelope::Request(resend));
    }
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::Maybe));
    let methods: Vec<_> = stage.dispatches(worker).iter().map(|d| d.method.method().to_owned()).collect();
    assert_eq!(methods, ["add", "push"]);
}

#[test]
fn a_resend_above_every_fresh_number_was_never_seen_and_runs() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(4));
    let client = stage.client(2);
    stage.call(client, 1, "calc.add");
    stage.handle(Event::Closed { connection: client });
    let again = stage.client_again(2, 2);
    stage.dispatches(worker);
    let mut lost_on_the_way = request(2, "calc.pay");
    lost_on_the_way.flags.resend = true;
    stage.say(again, Envelope::Request(lost_on_the_way));
    assert_eq!(stage.dispatches(worker).len(), 1);
}

#[test]
fn after_a_restart_of_the_broker_no_resend_is_taken_for_new() {
    // Found while designing: the numbers of an earlier start must not look new because lower ones were resent.
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(4));
    let client = stage.client_again(2, 2);
    let mut resend = request(5, "calc.add");
    resend.flags.resend = true;
    stage.say(client, Envelope::Request(resend));
    stage.handle(Event::Closed { connection: client });
    let again = stage.client_again(2, 3);
    stage.dispatches(worker);
    let mut resend = request(6, "calc.pay");
    resend.flags.resend = true;
    stage.say(again, Envelope::Request(resend));
    assert!(stage.dispatches(worker).is_empty());
    assert_eq!(stage.failure(again).executed, Executed::Maybe);
}

#[test]
fn a_lost_clients_calls_live_two_heartbeats() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let client = stage.client(2);
    (1..=2).for_each(|number| stage.call(client, number, "calc.add"));
    let dispatch = stage.dispatches(worker).pop().unwrap();
    stage.handle(Event::Closed { connection: client });
    stage.pass_with(seconds(1), &[worker]);
    assert_eq!(stage.broker.status(stage.now).open, 2);
    stage.pass_with(seconds(2), &[worker]);
    assert_eq!(
        stage.broker.status(stage.now).open,
        1,
        "the waiting one is dropped, the running one has its slot still"
    );
    assert!(matches!(stage.heard(worker).as_slice(), [Envelope::Cancel(cancel)] if cancel.number == dispatch.number.0));
}

#[test]
fn a_client_that_leaves_takes_its_calls_along_but_not_its_casts() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let client = stage.client(2);
    stage.call(client, 1, "calc.add");
    stage.call(client, 2, "calc.add");
    let mut cast = request(3, "calc.push");
    cast.flags.cast = true;
    stage.say(client, Envelope::Request(cast));
    let first = stage.dispatches(worker).pop().unwrap();
    stage.say(client, Envelope::Goodbye(None));
    assert_eq!(stage.heard(client), [Envelope::Goodbye(None)]);
    stage.answer(worker, &first, b"\x00");
    let next = stage.dispatches(worker);
    assert_eq!((next.len(), next[0].method.method()), (1, "push"));
}

#[test]
fn credit_comes_back_at_half_the_window() {
    let window = Settings { credit_calls: 4, ..Settings::default() };
    let mut stage = Stage::young(window);
    let worker = stage.worker(1, calc(8));
    let client = stage.client(2);
    (1..=4).for_each(|number| stage.call(client, number, "calc.add"));
    let sent = stage.dispatches(worker);
    let mut granted = Vec::new();
    for dispatch in &sent {
        stage.answer(worker, dispatch, b"\x00");
        for envelope in stage.heard(client) {
            if let Envelope::Reply(reply) = envelope {
                granted.push(reply.credit);
            }
        }
    }
    let two = Some(Credit { calls: 2, bytes: 2, offer: 0 });
    assert_eq!(granted, [None, two, None, two]);
}

#[test]
fn breaking_credit_is_the_end() {
    let mut stage = Stage::young(Settings { credit_calls: 2, ..Settings::default() });
    stage.worker(1, calc(1));
    let client = stage.client(2);
    (1..=3).for_each(|number| stage.call(client, number, "calc.add"));
    assert_eq!(stage.sent_away(client).code, Code::ResourceExhausted);
}

#[test]
fn credit_of_cancelled_calls_comes_back_too() {
    let mut stage = Stage::young(Settings { credit_calls: 2, ..Settings::default() });
    stage.worker(1, calc(1));
    let client = stage.client(2);
    for number in 1..=20 {
        stage.call(client, number, "calc.add");
        let cancel = crate::wire::envelope::Cancel { number, done_below: None };
        stage.say(client, Envelope::Cancel(cancel));
    }
    assert!(!stage.closed.contains(&client));
}

#[test]
fn a_request_that_cannot_be_read_gives_its_credit_back() {
    let mut stage = Stage::young(Settings { credit_calls: 2, ..Settings::default() });
    let client = stage.client(1);
    // {0: 5, 1: 1, 2: "c.a", 40: 1}, with a body of one byte.
    let spoiled = Bytes::from_static(b"\xa4\x00\x05\x01\x01\x02\x63c.a\x18\x28\x01\x41\x80");
    (0..20).for_each(|_| stage.say_frames(client, std::slice::from_ref(&spoiled)));
    assert!(!stage.closed.contains(&client));
}

#[test]
fn a_request_that_cannot_be_read_is_answered_if_it_has_a_number() {
    let mut stage = Stage::new();
    let client = stage.client(1);
    // {0: 5, 1: 9, 2: "calc.add", 40: 1}: key 40 is critical and unknown.
    let header = b"\xa4\x00\x05\x01\x09\x02\x68calc.add\x18\x28\x01";
    stage.say_frames(client, &[Bytes::from([header.as_slice(), b"\x41\x80"].concat())]);
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::Unimplemented, Executed::No));
    assert_eq!(stage.broker.counters().refused, 1);
}

#[test]
fn what_cannot_be_read_does_not_answer_an_open_call_of_its_number() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let client = stage.client(2);
    stage.call(client, 5, "calc.add");
    let dispatch = stage.dispatches(worker).pop().unwrap();
    // {0: 60, 1: 5}: a kind of a later version, with the number of the open call.
    stage.say_frames(client, &[Bytes::from_static(b"\xa2\x00\x18\x3c\x01\x05\x40")]);
    assert!(stage.replies(client).is_empty());
    stage.answer(worker, &dispatch, b"\x00");
    assert_eq!(stage.replies(client).len(), 1);
}
