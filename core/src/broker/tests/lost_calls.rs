//! Calls of lost workers: retry budgets and dead letters.

use bytes::Bytes;

use super::harness::{Harness, calc, millis, request, seconds};
use crate::{
    body,
    broker::{DeadLetter, DeadLetterDetail, Event, Settings},
    wire::{
        Envelope,
        envelope::{Effect, Reply, Request, RequestFlags},
        ids::ConnectionId,
        limits::DEAD_LETTER_BYTES_MAX,
        status::{Code, Executed, Failure},
        streams::{Streams, Style},
    },
};

fn ask(harness: &mut Harness, client: ConnectionId, number: u64, method: &str, arguments: &impl serde::Serialize) {
    let body = body::encode(arguments).unwrap();
    harness.send(client, Envelope::Request(Request { body, ..request(number, method) }));
}

fn letters(harness: &mut Harness, client: ConnectionId, number: u64) -> Vec<DeadLetter> {
    ask(harness, client, number, "callboard.dead", &());
    let answer = harness.replies(client).pop().unwrap().1.unwrap();
    body::decode(&answer).unwrap()
}

/// Makes a call of that method and closes its worker until the call has no attempts left.
fn kill_workers(harness: &mut Harness, client: ConnectionId, number: u64, method: &str) {
    let mut holder = harness.worker(1, calc(1));
    ask(harness, client, number, method, &("poison",));
    for life in 2..=4 {
        let next = harness.worker(life, calc(1));
        harness.handle(Event::Closed { connection: holder });
        holder = next;
    }
    harness.handle(Event::Closed { connection: holder });
}

#[test]
fn retries_of_a_service_stay_within_its_budget() {
    let settings = Settings { retry_percent: 10, retry_floor: 0, retry_burst: 2, ..Settings::default() };
    let mut harness = Harness::just_started(settings);
    let client = harness.client(9);
    let one = harness.worker(1, calc(64));
    (1..=30).for_each(|number| harness.call(client, number, "calc.add"));
    let two = harness.worker(2, calc(64));
    harness.handle(Event::Closed { connection: one });
    // The token bucket was full from the start: calls do not add tokens above its size.
    assert_eq!(harness.dispatches(two).len(), 2);
    let rejected = harness.replies(client);
    assert_eq!(rejected.len(), 28);
    for (_, outcome) in rejected {
        let failure = outcome.unwrap_err();
        assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::Maybe));
        assert!(failure.message.contains("calc has no retries left"), "{failure}");
    }
}

#[test]
fn handed_back_calls_and_subcalls_add_no_retry_budget() {
    for handed_back in [true, false] {
        let settings = Settings { retry_percent: 50, retry_floor: 0, retry_burst: 1, ..Settings::default() };
        let mut harness = Harness::just_started(settings);
        let (one, client) = (harness.worker(1, calc(4)), harness.client(9));
        harness.call(client, 1, "calc.add");
        let two = harness.worker(2, calc(4));
        harness.handle(Event::Closed { connection: one });
        assert_eq!(harness.dispatches(two).len(), 1, "the retry takes the last token");
        let broadcast = RequestFlags { broadcast: !handed_back, ..RequestFlags::default() };
        harness.send(client, Envelope::Request(Request { flags: broadcast, ..request(2, "calc.add") }));
        if handed_back {
            let dispatch = harness.dispatches(two).remove(0);
            harness.send(two, Envelope::Handback(dispatch.number));
            harness.advance_with(millis(200), &[two, client]);
        } else {
            harness.send(client, Envelope::Request(Request { flags: broadcast, ..request(3, "calc.add") }));
        }
        let three = harness.worker(3, calc(4));
        harness.handle(Event::Closed { connection: two });
        assert_eq!(harness.dispatches(three), []);
    }
}

#[test]
fn a_call_lost_with_its_workers_becomes_a_dead_letter_and_can_be_resent() {
    let mut harness = Harness::new();
    let client = harness.client(9);
    kill_workers(&mut harness, client, 1, "calc.add");
    assert_eq!(harness.failure(client).attempt, 3);
    let dead = letters(&mut harness, client, 2);
    let [letter] = dead.as_slice() else { panic!("{dead:?}") };
    assert_eq!((letter.method.as_str(), letter.lost, letter.worker.as_str()), ("calc.add", 3, "peer-3"));
    assert_eq!(letter.call, "09090909-1");

    ask(&mut harness, client, 3, "callboard.dead_show", &(letter.id,));
    let shown: DeadLetterDetail = body::decode(&harness.replies(client).pop().unwrap().1.unwrap()).unwrap();
    assert_eq!(body::decode::<(String,)>(&shown.body).unwrap().0, "poison");

    let healthy = harness.worker(5, calc(1));
    ask(&mut harness, client, 4, "callboard.dead_resend", &(letter.id,));
    let dispatch = harness.dispatches(healthy).pop().unwrap();
    assert_eq!((dispatch.method.as_str(), dispatch.attempt), ("calc.add", 1));
    assert_eq!(body::decode::<(String,)>(&dispatch.body).unwrap().0, "poison");
    harness.reply(healthy, &dispatch, b"\x05");
    assert_eq!(
        harness.replies(client),
        [(4, Ok(Bytes::from_static(b"\x05")))],
        "the resent call completes the request of the operator"
    );

    ask(&mut harness, client, 5, "callboard.dead_drop", &(letter.id,));
    assert!(harness.replies(client).pop().unwrap().1.is_ok());
    assert!(letters(&mut harness, client, 6).is_empty());
    ask(&mut harness, client, 7, "callboard.dead_resend", &(letter.id,));
    assert_eq!(harness.failure(client).code, Code::FailedPrecondition);
}

#[test]
fn a_once_call_lost_with_its_worker_becomes_a_dead_letter_with_its_reason() {
    let mut harness = Harness::new();
    let client = harness.client(9);
    kill_workers(&mut harness, client, 1, "calc.pay");
    harness.failure(client);
    let dead = letters(&mut harness, client, 2);
    assert_eq!((dead.len(), dead[0].effect, dead[0].lost), (1, Effect::Once, 1));
    assert!(dead[0].reason.contains("it may have run"), "{}", dead[0].reason);
}

#[test]
fn dead_letters_are_bounded_and_the_oldest_are_evicted_first() {
    let mut harness = Harness::new();
    let client = harness.client(9);
    let max = crate::wire::limits::DEAD_LETTERS_MAX as u64;
    let worker = harness.worker(1, calc(2_000));
    (1..=max + 5).for_each(|number| harness.call(client, number, "calc.pay"));
    harness.handle(Event::Closed { connection: worker });
    harness.replies(client);
    let dead = letters(&mut harness, client, max + 6);
    assert_eq!((dead.len() as u64, dead[0].id), (max, 6));
}

#[test]
fn dead_letters_are_bounded_in_bytes() {
    let mut harness = Harness::new();
    let client = harness.client(9);
    let body = Bytes::from(vec![0; DEAD_LETTER_BYTES_MAX / 8]);
    for number in 1..=9 {
        let worker = harness.worker(1, calc(1));
        harness.send(client, Envelope::Request(Request { body: body.clone(), ..request(number, "calc.pay") }));
        harness.handle(Event::Closed { connection: worker });
        harness.failure(client);
    }
    let dead = letters(&mut harness, client, 10);
    assert_eq!((dead.len(), dead[0].id), (8, 2));
}

#[test]
fn a_failure_names_its_attempt_and_worker_whatever_its_origin() {
    let mut harness = Harness::new();
    let (one, client) = (harness.worker(1, calc(2)), harness.client(9));
    harness.call(client, 1, "calc.add");
    harness.call(client, 2, "calc.pay");
    let two = harness.worker(2, calc(1));
    harness.handle(Event::Closed { connection: one });
    let lost = harness.failure(client);
    assert_eq!((lost.attempt, &*lost.worker), (1, "peer-1"), "a failure from the broker");
    let again = harness.dispatches(two).pop().unwrap();
    let outcome = Err(Box::new(Failure::new(Code::Unknown, Executed::Yes, "division by zero")));
    let reply =
        Reply { number: again.number.0, outcome, credit: None, handler_time: None, extensions: Default::default() };
    harness.send(two, Envelope::Reply(reply));
    let failed = harness.failure(client);
    assert_eq!((failed.attempt, &*failed.worker), (2, "peer-2"), "a failure from the handler");
}

#[test]
fn a_failure_states_its_queueing_and_running_time() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(1)), harness.client(9));
    harness.call(client, 1, "calc.pay");
    harness.call(client, 2, "calc.pay");
    harness.advance_with(seconds(2), &[worker, client]);
    let first = harness.dispatches(worker).pop().unwrap();
    harness.reply(worker, &first, b"\x00");
    harness.replies(client);
    harness.advance_with(seconds(1), &[worker, client]);
    harness.handle(Event::Closed { connection: worker });
    let failure = harness.failure(client);
    assert_eq!((failure.timings.queued, failure.timings.running), (seconds(2), seconds(1)));
}

#[test]
fn a_resent_dead_letter_keeps_its_effect() {
    let mut harness = Harness::new();
    let client = harness.client(9);
    let once = Request { effect: Some(Effect::Once), ..request(1, "calc.add") };
    let one = harness.worker(1, calc(1));
    harness.send(client, Envelope::Request(once));
    harness.handle(Event::Closed { connection: one });
    harness.failure(client);
    let letter = letters(&mut harness, client, 2).remove(0).id;
    let (two, three) = (harness.worker(2, calc(1)), harness.worker(3, calc(1)));
    ask(&mut harness, client, 3, "callboard.dead_resend", &(letter,));
    let [at, other] = if harness.dispatches(two).is_empty() { [three, two] } else { [two, three] };
    harness.handle(Event::Closed { connection: at });
    assert_eq!(harness.failure(client).executed, Executed::Maybe);
    assert_eq!(harness.dispatches(other), [], "a once call is never retried");
}

#[test]
fn resending_a_dead_letter_of_a_stream_fails_with_instructions() {
    let mut harness = Harness::new();
    let client = harness.client(9);
    let streams = Streams { style: Style::Server, ..Streams::NONE };
    let one = harness.worker(1, calc(1));
    let once = Request { effect: Some(Effect::Once), streams, ..request(1, "calc.count") };
    harness.send(client, Envelope::Request(once));
    harness.handle(Event::Closed { connection: one });
    harness.failure(client);
    let letter = letters(&mut harness, client, 2).remove(0).id;
    let two = harness.worker(2, calc(1));
    ask(&mut harness, client, 3, "callboard.dead_resend", &(letter,));
    let failure = harness.failure(client);
    assert_eq!(failure.code, Code::FailedPrecondition);
    assert!(failure.message.contains("dead_show") && failure.message.contains("calc.count"), "{failure}");
    assert_eq!(harness.dispatches(two), []);
}
