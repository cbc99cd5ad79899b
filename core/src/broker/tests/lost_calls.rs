//! Calls whose workers are lost: how often they are tried again, and what is kept of them.

use bytes::Bytes;

use super::stage::{Stage, calc, millis, request, seconds};
use crate::{
    body,
    broker::{DeadLetter, DeadLetterDetail, Event, Settings},
    wire::{
        Envelope,
        envelope::{Effect, Reply, Request, RequestFlags},
        ids::ConnectionId,
        limits::DEAD_BYTES_MAX,
        status::{Code, Executed, Failure},
        streams::Streams,
    },
};

fn ask(stage: &mut Stage, client: ConnectionId, number: u64, method: &str, arguments: &impl serde::Serialize) {
    let body = body::encode(arguments).unwrap();
    stage.say(client, Envelope::Request(Request { body, ..request(number, method) }));
}

fn letters(stage: &mut Stage, client: ConnectionId, number: u64) -> Vec<DeadLetter> {
    ask(stage, client, number, "callboard.dead", &());
    let answer = stage.replies(client).pop().unwrap().1.unwrap();
    body::decode(&answer).unwrap()
}

/// Lets a call of that method lose as many workers as it may.
fn kill_workers(stage: &mut Stage, client: ConnectionId, number: u64, method: &str) {
    let mut holder = stage.worker(1, calc(1));
    ask(stage, client, number, method, &("poison",));
    for life in 2..=4 {
        let next = stage.worker(life, calc(1));
        stage.handle(Event::Closed { connection: holder });
        holder = next;
    }
    stage.handle(Event::Closed { connection: holder });
}

#[test]
fn retries_of_a_service_stay_within_its_budget() {
    let settings = Settings { retry_percent: 10, retry_floor: 0, retry_burst: 2, ..Settings::default() };
    let mut stage = Stage::young(settings);
    let client = stage.client(9);
    let one = stage.worker(1, calc(64));
    (1..=30).for_each(|number| stage.call(client, number, "calc.add"));
    let two = stage.worker(2, calc(64));
    stage.handle(Event::Closed { connection: one });
    // The bucket was full all along: what is called cannot be saved up beyond it.
    assert_eq!(stage.dispatches(two).len(), 2);
    let refused = stage.replies(client);
    assert_eq!(refused.len(), 28);
    for (_, outcome) in refused {
        let failure = outcome.unwrap_err();
        assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::Maybe));
        assert!(failure.message.contains("calc has no retries left"), "{failure}");
    }
}

#[test]
fn neither_a_call_that_comes_back_nor_a_part_of_a_broadcast_earns_a_retry() {
    for handed_back in [true, false] {
        let settings = Settings { retry_percent: 50, retry_floor: 0, retry_burst: 1, ..Settings::default() };
        let mut stage = Stage::young(settings);
        let (one, client) = (stage.worker(1, calc(4)), stage.client(9));
        stage.call(client, 1, "calc.add");
        let two = stage.worker(2, calc(4));
        stage.handle(Event::Closed { connection: one });
        assert_eq!(stage.dispatches(two).len(), 1, "that was all that was saved up");
        let broadcast = RequestFlags { broadcast: !handed_back, ..RequestFlags::default() };
        stage.say(client, Envelope::Request(Request { flags: broadcast, ..request(2, "calc.add") }));
        if handed_back {
            let dispatch = stage.dispatches(two).remove(0);
            stage.say(two, Envelope::Handback(dispatch.number));
            stage.pass_with(millis(200), &[two, client]);
        } else {
            stage.say(client, Envelope::Request(Request { flags: broadcast, ..request(3, "calc.add") }));
        }
        let three = stage.worker(3, calc(4));
        stage.handle(Event::Closed { connection: two });
        assert_eq!(stage.dispatches(three), []);
    }
}

#[test]
fn a_call_that_its_workers_died_of_is_kept_and_can_be_sent_again() {
    let mut stage = Stage::new();
    let client = stage.client(9);
    kill_workers(&mut stage, client, 1, "calc.add");
    assert_eq!(stage.failure(client).attempt, 3);
    let kept = letters(&mut stage, client, 2);
    let [letter] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!((letter.method.as_str(), letter.lost, letter.worker.as_str()), ("calc.add", 3, "peer-3"));
    assert_eq!(letter.call, "09090909-1");

    ask(&mut stage, client, 3, "callboard.dead_show", &(letter.id,));
    let shown: DeadLetterDetail = body::decode(&stage.replies(client).pop().unwrap().1.unwrap()).unwrap();
    assert_eq!(body::decode::<(String,)>(&shown.body).unwrap().0, "poison");

    let healthy = stage.worker(5, calc(1));
    ask(&mut stage, client, 4, "callboard.dead_resend", &(letter.id,));
    let dispatch = stage.dispatches(healthy).pop().unwrap();
    assert_eq!((dispatch.method.as_str(), dispatch.attempt), ("calc.add", 1));
    assert_eq!(body::decode::<(String,)>(&dispatch.body).unwrap().0, "poison");
    stage.answer(healthy, &dispatch, b"\x05");
    assert_eq!(stage.replies(client), [(4, Ok(Bytes::from_static(b"\x05")))], "its outcome is the call's");

    ask(&mut stage, client, 5, "callboard.dead_drop", &(letter.id,));
    assert!(stage.replies(client).pop().unwrap().1.is_ok());
    assert!(letters(&mut stage, client, 6).is_empty());
    ask(&mut stage, client, 7, "callboard.dead_resend", &(letter.id,));
    assert_eq!(stage.failure(client).code, Code::FailedPrecondition);
}

#[test]
fn a_once_call_that_was_lost_with_its_worker_is_kept_and_says_so() {
    let mut stage = Stage::new();
    let client = stage.client(9);
    kill_workers(&mut stage, client, 1, "calc.pay");
    stage.failure(client);
    let kept = letters(&mut stage, client, 2);
    assert_eq!((kept.len(), kept[0].effect, kept[0].lost), (1, Effect::Once, 1));
    assert!(kept[0].reason.contains("it may have run"), "{}", kept[0].reason);
}

#[test]
fn dead_letters_are_bounded_and_the_oldest_go_first() {
    let mut stage = Stage::new();
    let client = stage.client(9);
    let max = crate::wire::limits::DEAD_CALLS_MAX as u64;
    let worker = stage.worker(1, calc(2_000));
    (1..=max + 5).for_each(|number| stage.call(client, number, "calc.pay"));
    stage.handle(Event::Closed { connection: worker });
    stage.replies(client);
    let kept = letters(&mut stage, client, max + 6);
    assert_eq!((kept.len() as u64, kept[0].id), (max, 6));
}

#[test]
fn dead_letters_are_bounded_in_bytes() {
    let mut stage = Stage::new();
    let client = stage.client(9);
    let body = Bytes::from(vec![0; DEAD_BYTES_MAX / 8]);
    for number in 1..=9 {
        let worker = stage.worker(1, calc(1));
        stage.say(client, Envelope::Request(Request { body: body.clone(), ..request(number, "calc.pay") }));
        stage.handle(Event::Closed { connection: worker });
        stage.failure(client);
    }
    let kept = letters(&mut stage, client, 10);
    assert_eq!((kept.len(), kept[0].id), (8, 2));
}

#[test]
fn a_failure_names_its_attempt_and_its_worker_whoever_tells_of_it() {
    let mut stage = Stage::new();
    let (one, client) = (stage.worker(1, calc(2)), stage.client(9));
    stage.call(client, 1, "calc.add");
    stage.call(client, 2, "calc.pay");
    let two = stage.worker(2, calc(1));
    stage.handle(Event::Closed { connection: one });
    let lost = stage.failure(client);
    assert_eq!((lost.attempt, &*lost.worker), (1, "peer-1"), "the broker's word");
    let again = stage.dispatches(two).pop().unwrap();
    let outcome = Err(Box::new(Failure::new(Code::Unknown, Executed::Yes, "division by zero")));
    let reply = Reply { number: again.number.0, outcome, credit: None, extensions: Bytes::new() };
    stage.say(two, Envelope::Reply(reply));
    let failed = stage.failure(client);
    assert_eq!((failed.attempt, &*failed.worker), (2, "peer-2"), "the handler's word");
}

#[test]
fn a_failure_says_where_its_time_went() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(1)), stage.client(9));
    stage.call(client, 1, "calc.pay");
    stage.call(client, 2, "calc.pay");
    stage.pass_with(seconds(2), &[worker, client]);
    let first = stage.dispatches(worker).pop().unwrap();
    stage.answer(worker, &first, b"\x00");
    stage.replies(client);
    stage.pass_with(seconds(1), &[worker, client]);
    stage.handle(Event::Closed { connection: worker });
    let failure = stage.failure(client);
    assert_eq!((failure.spent.queued, failure.spent.running), (seconds(2), seconds(1)));
}

#[test]
fn a_dead_letter_that_is_sent_again_keeps_its_effect() {
    let mut stage = Stage::new();
    let client = stage.client(9);
    let once = Request { effect: Some(Effect::Once), ..request(1, "calc.add") };
    let one = stage.worker(1, calc(1));
    stage.say(client, Envelope::Request(once));
    stage.handle(Event::Closed { connection: one });
    stage.failure(client);
    let letter = letters(&mut stage, client, 2).remove(0).id;
    let (two, three) = (stage.worker(2, calc(1)), stage.worker(3, calc(1)));
    ask(&mut stage, client, 3, "callboard.dead_resend", &(letter,));
    let [at, other] = if stage.dispatches(two).is_empty() { [three, two] } else { [two, three] };
    stage.handle(Event::Closed { connection: at });
    assert_eq!(stage.failure(client).executed, Executed::Maybe);
    assert_eq!(stage.dispatches(other), [], "a once call is never run twice by itself");
}

#[test]
fn a_dead_letter_of_a_stream_says_what_to_do_instead_of_being_sent_again() {
    let mut stage = Stage::new();
    let client = stage.client(9);
    let streams = Streams { to_caller: true, ..Streams::NONE };
    let one = stage.worker(1, calc(1));
    let once = Request { effect: Some(Effect::Once), streams, ..request(1, "calc.count") };
    stage.say(client, Envelope::Request(once));
    stage.handle(Event::Closed { connection: one });
    stage.failure(client);
    let letter = letters(&mut stage, client, 2).remove(0).id;
    let two = stage.worker(2, calc(1));
    ask(&mut stage, client, 3, "callboard.dead_resend", &(letter,));
    let failure = stage.failure(client);
    assert_eq!(failure.code, Code::FailedPrecondition);
    assert!(failure.message.contains("dead_show") && failure.message.contains("calc.count"), "{failure}");
    assert_eq!(stage.dispatches(two), []);
}
