//! Lost peers, heartbeats, stalls of the broker, and its shutdown.

use bytes::Bytes;

use super::harness::{Harness, calc, millis, request, seconds};
use crate::{
    broker::Event,
    wire::{
        Envelope,
        envelope::{Ping, Reply},
        limits::HANDBACK_PAUSE,
        status::{Code, Executed, Failure},
    },
};

#[test]
fn calls_of_a_lost_worker_are_retried_unless_they_are_once() {
    let mut harness = Harness::new();
    let one = harness.worker(1, calc(8));
    let client = harness.client(3);
    for (number, method) in [(1, "calc.add"), (2, "calc.push"), (3, "calc.pay")] {
        harness.call(client, number, method);
    }
    assert_eq!(harness.dispatches(one).len(), 3);
    let two = harness.worker(2, calc(8));
    harness.handle(Event::Closed { connection: one });
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed, failure.attempt), (Code::Unavailable, Executed::Maybe, 1));
    assert_eq!(&*failure.worker, "peer-1");
    let again = harness.dispatches(two);
    assert_eq!(again.iter().map(|dispatch| dispatch.attempt).collect::<Vec<_>>(), [2, 2]);
    again.iter().for_each(|dispatch| harness.reply(two, dispatch, b"\x00"));
    assert_eq!(harness.replies(client).len(), 2);
}

#[test]
fn a_call_has_at_most_three_attempts() {
    let mut harness = Harness::new();
    let client = harness.client(9);
    let mut holder = harness.worker(1, calc(1));
    harness.call(client, 1, "calc.add");
    for number in 2..=4 {
        let next = harness.worker(number, calc(1));
        harness.handle(Event::Closed { connection: holder });
        holder = next;
    }
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed, failure.attempt), (Code::Unavailable, Executed::Maybe, 3));
}

#[test]
fn a_handed_back_call_runs_on_another_worker_whatever_its_effect() {
    let mut harness = Harness::new();
    let one = harness.worker(1, calc(1));
    let client = harness.client(3);
    harness.call(client, 1, "calc.pay");
    let dispatch = harness.dispatches(one).pop().unwrap();
    let two = harness.worker(2, calc(1));
    harness.send(one, Envelope::Drain);
    harness.send(one, Envelope::Handback(dispatch.number));
    let again = harness.dispatches(two);
    assert_eq!((again.len(), again[0].attempt), (1, 1), "a handback does not count as an attempt");
}

#[test]
fn a_worker_that_hands_a_call_back_gets_the_next_one_after_a_pause() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let client = harness.client(3);
    harness.call(client, 1, "calc.pay");
    for _ in 0..3 {
        let dispatch = harness.dispatches(worker).pop().unwrap();
        harness.send(worker, Envelope::Handback(dispatch.number));
        assert!(harness.dispatches(worker).is_empty(), "the worker gets no call during the pause");
        harness.advance_with(HANDBACK_PAUSE, &[worker, client]);
    }
    let other = harness.worker(2, calc(1));
    let dispatch = harness.dispatches(worker).pop().unwrap();
    harness.send(worker, Envelope::Handback(dispatch.number));
    assert_eq!(harness.dispatches(other).len(), 1, "another worker runs the call during the pause");
}

#[test]
fn a_silent_worker_is_lost_after_exactly_three_heartbeats() {
    let mut harness = Harness::new();
    let (silent, alive) = (harness.worker(1, calc(8)), harness.worker(2, calc(1)));
    let client = harness.client(3);
    harness.call(client, 1, "calc.add");
    harness.advance_with(millis(2900), &[alive, client]);
    assert!(!harness.closed.contains(&silent));
    harness.advance_with(millis(400), &[alive, client]);
    assert!(harness.closed.contains(&silent));
}

#[test]
fn any_received_byte_counts_as_activity() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(1)), harness.client(2));
    harness.advance_with(seconds(20), &[worker, client]);
    assert!(harness.closed.is_empty());
}

#[test]
fn after_a_stall_the_broker_allows_one_more_heartbeat_interval() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    harness.now = harness.now + seconds(60);
    harness.handle(Event::Timeout);
    assert!(!harness.closed.contains(&worker), "the broker itself was stalled");
    harness.advance_with(millis(800), &[]);
    assert!(!harness.closed.contains(&worker));
    harness.advance_with(millis(600), &[]);
    assert!(harness.closed.contains(&worker), "one interval later a silent worker is lost");
}

#[test]
fn after_a_stall_a_disconnected_client_has_one_more_interval_to_reconnect() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(1)), harness.client(2));
    harness.call(client, 1, "calc.pay");
    let dispatch = harness.dispatches(worker).remove(0);
    harness.handle(Event::Closed { connection: client });
    harness.now = harness.now + seconds(20);
    harness.handle(Event::Timeout);
    harness.reply(worker, &dispatch, b"\x05");
    let again = harness.reconnect_client(2, 2);
    let mut resend = request(1, "calc.pay");
    resend.flags.resend = true;
    harness.send(again, Envelope::Request(resend));
    assert_eq!(harness.replies(again), [(1, Ok(Bytes::from_static(b"\x05")))]);
    harness.handle(Event::Closed { connection: again });
    harness.now = harness.now + seconds(20);
    harness.handle(Event::Timeout);
    assert_eq!(harness.broker.status(harness.now).clients, 1);
    harness.advance_with(seconds(1), &[worker]);
    assert_eq!(harness.broker.status(harness.now).clients, 0);
}

#[test]
fn the_broker_sends_heartbeats_and_answers_pings() {
    let mut harness = Harness::new();
    let client = harness.client(1);
    harness.send(client, Envelope::Ping(Ping { number: 42, done_below: None }));
    assert_eq!(harness.received(client), [Envelope::Pong(42)]);
    harness.advance_with(millis(2500), &[client]);
    let sent = harness.sent.remove(&client).unwrap_or_default();
    assert_eq!(sent.iter().filter(|envelope| matches!(envelope, Envelope::Ping(_))).count(), 2);
}

#[test]
fn a_broker_that_shuts_down_rejects_new_calls_and_lets_running_calls_finish() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let client = harness.client(2);
    (1..=2).for_each(|number| harness.call(client, number, "calc.pay"));
    let dispatch = harness.dispatches(worker).pop().unwrap();
    let deadline = harness.now + seconds(5);
    harness.handle(Event::Shutdown { deadline });
    harness.call(client, 3, "calc.pay");
    let refused = harness.replies(client);
    assert_eq!(refused.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2, 3]);
    assert!(refused.iter().all(|(_, outcome)| outcome.as_ref().unwrap_err().executed == Executed::No));
    assert!(!harness.stopped);
    harness.reply(worker, &dispatch, b"\x05");
    assert!(harness.stopped);
    assert_eq!(harness.disconnect_reason(worker).code, Code::Unavailable);
    assert!(matches!(harness.received(client).as_slice(), [Envelope::Reply(_), Envelope::Goodbye(Some(_))]));
}

#[test]
fn a_stopped_broker_sends_nothing() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let client = harness.client(2);
    let mut short = request(1, "calc.pay");
    short.timeout = Some(millis(500));
    harness.send(client, Envelope::Request(short));
    harness.received(worker);
    let deadline = harness.now + millis(400);
    harness.handle(Event::Shutdown { deadline });
    // The shutdown deadline and the timeout of the call are due together.
    harness.now = harness.now + millis(600);
    harness.handle(Event::Timeout);
    assert!(harness.stopped);
    harness.disconnect_reason(client);
    assert!(matches!(harness.received(worker).as_slice(), [Envelope::Goodbye(Some(_))]), "no cancel after goodbye");
    assert_eq!(harness.broker.poll_timeout(), None);
    harness.call(client, 2, "calc.add");
    assert!(harness.received(client).is_empty());
}

#[test]
fn a_broker_shutdown_ends_at_its_deadline() {
    let mut harness = Harness::new();
    harness.worker(1, calc(1));
    let client = harness.client(2);
    harness.call(client, 1, "calc.pay");
    let deadline = harness.now + seconds(1);
    harness.handle(Event::Shutdown { deadline });
    harness.advance(millis(1100));
    assert!(harness.stopped);
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::Maybe));
}

#[test]
fn a_reply_of_a_worker_covers_only_its_own_attempt() {
    let mut harness = Harness::new();
    let one = harness.worker(1, calc(1));
    let client = harness.client(3);
    harness.call(client, 1, "calc.add");
    let two = harness.worker(2, calc(1));
    harness.handle(Event::Closed { connection: one });
    let again = harness.dispatches(two).pop().unwrap();
    let refused = Failure::new(Code::InvalidArgument, Executed::No, "no");
    let reply = Reply {
        number: again.number.0,
        outcome: Err(Box::new(refused)),
        credit: None,
        handler_time: None,
        extensions: Default::default(),
    };
    harness.send(two, Envelope::Reply(reply));
    assert_eq!(harness.failure(client).executed, Executed::Maybe, "the first worker may have run it");
}
