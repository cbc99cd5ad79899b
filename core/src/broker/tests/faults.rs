//! Peers that are lost, and a broker that stops.

use bytes::Bytes;

use super::stage::{Stage, calc, millis, request, seconds};
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
fn a_lost_workers_calls_go_on_elsewhere_if_they_may() {
    let mut stage = Stage::new();
    let one = stage.worker(1, calc(8));
    let client = stage.client(3);
    for (number, method) in [(1, "calc.add"), (2, "calc.push"), (3, "calc.pay")] {
        stage.call(client, number, method);
    }
    assert_eq!(stage.dispatches(one).len(), 3);
    let two = stage.worker(2, calc(8));
    stage.handle(Event::Closed { connection: one });
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed, failure.attempt), (Code::Unavailable, Executed::Maybe, 1));
    assert_eq!(&*failure.worker, "peer-1");
    let again = stage.dispatches(two);
    assert_eq!(again.iter().map(|dispatch| dispatch.attempt).collect::<Vec<_>>(), [2, 2]);
    again.iter().for_each(|dispatch| stage.answer(two, dispatch, b"\x00"));
    assert_eq!(stage.replies(client).len(), 2);
}

#[test]
fn a_call_is_attempted_three_times_in_all() {
    let mut stage = Stage::new();
    let client = stage.client(9);
    let mut holder = stage.worker(1, calc(1));
    stage.call(client, 1, "calc.add");
    for number in 2..=4 {
        let next = stage.worker(number, calc(1));
        stage.handle(Event::Closed { connection: holder });
        holder = next;
    }
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed, failure.attempt), (Code::Unavailable, Executed::Maybe, 3));
}

#[test]
fn a_call_that_is_handed_back_goes_elsewhere_whatever_its_effect() {
    let mut stage = Stage::new();
    let one = stage.worker(1, calc(1));
    let client = stage.client(3);
    stage.call(client, 1, "calc.pay");
    let dispatch = stage.dispatches(one).pop().unwrap();
    let two = stage.worker(2, calc(1));
    stage.say(one, Envelope::Drain);
    stage.say(one, Envelope::Handback(dispatch.number));
    let again = stage.dispatches(two);
    assert_eq!((again.len(), again[0].attempt), (1, 1), "that was no attempt");
}

#[test]
fn a_worker_that_gives_a_call_back_is_not_given_the_next_at_once() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let client = stage.client(3);
    stage.call(client, 1, "calc.pay");
    for _ in 0..3 {
        let dispatch = stage.dispatches(worker).pop().unwrap();
        stage.say(worker, Envelope::Handback(dispatch.number));
        assert!(stage.dispatches(worker).is_empty(), "it rests for a moment");
        stage.pass_with(HANDBACK_PAUSE, &[worker, client]);
    }
    let other = stage.worker(2, calc(1));
    let dispatch = stage.dispatches(worker).pop().unwrap();
    stage.say(worker, Envelope::Handback(dispatch.number));
    assert_eq!(stage.dispatches(other).len(), 1, "another worker has it meanwhile");
}

#[test]
fn a_silent_worker_is_lost_after_three_heartbeats_and_not_before() {
    let mut stage = Stage::new();
    let (silent, alive) = (stage.worker(1, calc(8)), stage.worker(2, calc(1)));
    let client = stage.client(3);
    stage.call(client, 1, "calc.add");
    stage.pass_with(millis(2900), &[alive, client]);
    assert!(!stage.closed.contains(&silent));
    stage.pass_with(millis(400), &[alive, client]);
    assert!(stage.closed.contains(&silent));
}

#[test]
fn any_byte_is_life() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(1)), stage.client(2));
    stage.pass_with(seconds(20), &[worker, client]);
    assert!(stage.closed.is_empty());
}

#[test]
fn after_a_gap_in_its_own_running_the_broker_gives_one_interval_of_grace() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    stage.now = stage.now + seconds(60);
    stage.handle(Event::Timeout);
    assert!(!stage.closed.contains(&worker), "the broker itself was asleep");
    stage.pass_with(millis(800), &[]);
    assert!(!stage.closed.contains(&worker));
    stage.pass_with(millis(600), &[]);
    assert!(stage.closed.contains(&worker), "one interval later silence counts");
}

#[test]
fn after_a_gap_in_its_own_running_a_lost_client_has_one_interval_more_to_return() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(1)), stage.client(2));
    stage.call(client, 1, "calc.pay");
    let dispatch = stage.dispatches(worker).remove(0);
    stage.handle(Event::Closed { connection: client });
    stage.now = stage.now + seconds(20);
    stage.handle(Event::Timeout);
    stage.answer(worker, &dispatch, b"\x05");
    let again = stage.client_again(2, 2);
    let mut resend = request(1, "calc.pay");
    resend.flags.resend = true;
    stage.say(again, Envelope::Request(resend));
    assert_eq!(stage.replies(again), [(1, Ok(Bytes::from_static(b"\x05")))]);
    stage.handle(Event::Closed { connection: again });
    stage.now = stage.now + seconds(20);
    stage.handle(Event::Timeout);
    assert_eq!(stage.broker.status(stage.now).clients, 1);
    stage.pass_with(seconds(1), &[worker]);
    assert_eq!(stage.broker.status(stage.now).clients, 0);
}

#[test]
fn the_broker_lets_itself_be_heard_and_answers_pings() {
    let mut stage = Stage::new();
    let client = stage.client(1);
    stage.say(client, Envelope::Ping(Ping { number: 42, done_below: None }));
    assert_eq!(stage.heard(client), [Envelope::Pong(42)]);
    stage.pass_with(millis(2500), &[client]);
    let said = stage.said.remove(&client).unwrap_or_default();
    assert_eq!(said.iter().filter(|envelope| matches!(envelope, Envelope::Ping(_))).count(), 2);
}

#[test]
fn a_broker_that_stops_refuses_what_is_new_and_lets_finish_what_runs() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let client = stage.client(2);
    (1..=2).for_each(|number| stage.call(client, number, "calc.pay"));
    let dispatch = stage.dispatches(worker).pop().unwrap();
    let deadline = stage.now + seconds(5);
    stage.handle(Event::Shutdown { deadline });
    stage.call(client, 3, "calc.pay");
    let refused = stage.replies(client);
    assert_eq!(refused.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2, 3]);
    assert!(refused.iter().all(|(_, outcome)| outcome.as_ref().unwrap_err().executed == Executed::No));
    assert!(!stage.stopped);
    stage.answer(worker, &dispatch, b"\x05");
    assert!(stage.stopped);
    assert_eq!(stage.sent_away(worker).code, Code::Unavailable);
    assert!(matches!(stage.heard(client).as_slice(), [Envelope::Reply(_), Envelope::Goodbye(Some(_))]));
}

#[test]
fn a_broker_that_has_stopped_says_nothing_more() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let client = stage.client(2);
    let mut short = request(1, "calc.pay");
    short.timeout = Some(millis(500));
    stage.say(client, Envelope::Request(short));
    stage.heard(worker);
    let deadline = stage.now + millis(400);
    stage.handle(Event::Shutdown { deadline });
    // The end and the call's time-out are due together.
    stage.now = stage.now + millis(600);
    stage.handle(Event::Timeout);
    assert!(stage.stopped);
    stage.sent_away(client);
    assert!(matches!(stage.heard(worker).as_slice(), [Envelope::Goodbye(Some(_))]), "no cancel after goodbye");
    assert_eq!(stage.broker.poll_timeout(), None);
    stage.call(client, 2, "calc.add");
    assert!(stage.heard(client).is_empty());
}

#[test]
fn a_broker_that_stops_does_not_wait_for_ever() {
    let mut stage = Stage::new();
    stage.worker(1, calc(1));
    let client = stage.client(2);
    stage.call(client, 1, "calc.pay");
    let deadline = stage.now + seconds(1);
    stage.handle(Event::Shutdown { deadline });
    stage.pass(millis(1100));
    assert!(stage.stopped);
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::Maybe));
}

#[test]
fn a_worker_speaks_only_for_its_own_attempt() {
    let mut stage = Stage::new();
    let one = stage.worker(1, calc(1));
    let client = stage.client(3);
    stage.call(client, 1, "calc.add");
    let two = stage.worker(2, calc(1));
    stage.handle(Event::Closed { connection: one });
    let again = stage.dispatches(two).pop().unwrap();
    let refused = Failure::new(Code::InvalidArgument, Executed::No, "no");
    let reply = Reply {
        number: again.number.0,
        outcome: Err(Box::new(refused)),
        credit: None,
        extensions: bytes::Bytes::new(),
    };
    stage.say(two, Envelope::Reply(reply));
    assert_eq!(stage.failure(client).executed, Executed::Maybe, "the first worker may have run it");
}
