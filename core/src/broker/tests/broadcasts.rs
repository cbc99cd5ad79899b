//! Calls to every worker of a service.

mod parts;

use bytes::Bytes;

use super::stage::{Stage, calc, millis, request, seconds};
use crate::{
    body,
    broker::{Diagnostic, Event, Settings},
    wire::{
        Envelope,
        affinity::AffinityKey,
        broadcast::Answer,
        envelope::{Credit, End, Item, Reply, Request, RequestFlags, StreamCredit},
        ids::ConnectionId,
        limits::{ANSWER_BYTES, BROADCAST_BYTES_MAX, HEADER_BYTES_MAX},
        status::{Code, Executed, Failure},
        streams::ItemCredit,
    },
};

/// A result, or the code of a failure and its word on execution.
type Told = Result<Bytes, (Code, Executed)>;

fn broadcast(number: u64, method: &str) -> Request {
    let flags = RequestFlags { broadcast: true, ..RequestFlags::default() };
    Request { flags, ..request(number, method) }
}

impl Stage {
    fn broadcast(&mut self, client: ConnectionId, number: u64, method: &str) {
        self.say(client, Envelope::Request(broadcast(number, method)));
    }

    /// The answers of the one broadcast that ended: each worker's name, and its result or code and word on execution.
    fn answers(&mut self, client: ConnectionId) -> Vec<(String, Told)> {
        let replies = self.replies(client);
        assert_eq!(replies.len(), 1, "{replies:?}");
        let answers: Vec<Answer> = body::decode(replies[0].1.as_ref().unwrap()).unwrap();
        let told = |answer: Answer| {
            let worker = answer.worker.clone();
            (worker, answer.outcome().map_err(|failure| (failure.code, failure.executed)))
        };
        answers.into_iter().map(told).collect()
    }
}

fn name(number: u8) -> String {
    format!("peer-{number}")
}

fn ok(body: &'static [u8]) -> Told {
    Ok(Bytes::from_static(body))
}

#[test]
fn every_worker_gets_it_once_and_the_caller_all_answers_in_one() {
    let mut stage = Stage::new();
    let workers = [1, 2, 3].map(|number| stage.worker(number, calc(2)));
    let client = stage.client(9);
    stage.broadcast(client, 1, "calc.pay");
    for (worker, answer) in workers.into_iter().zip([b"\x01", b"\x02", b"\x03"]) {
        assert_eq!(stage.replies(client), [], "not before all have answered");
        let dispatches = stage.dispatches(worker);
        assert_eq!(dispatches.len(), 1);
        stage.answer(worker, &dispatches[0], answer);
    }
    let expected = [(name(1), ok(b"\x01")), (name(2), ok(b"\x02")), (name(3), ok(b"\x03"))];
    assert_eq!(stage.answers(client), expected);
    assert_eq!(stage.broker.status(stage.now).open, 0);
}

#[test]
fn only_who_serves_the_method_and_stays_is_asked() {
    let mut stage = Stage::new();
    let stays = stage.worker(1, calc(1));
    let drains = stage.worker(2, calc(1));
    stage.say(drains, Envelope::Drain);
    let mut offer = calc(1);
    offer.methods.retain(|method| method.name != "add");
    let other = stage.worker(3, offer);
    let client = stage.client(9);
    stage.broadcast(client, 1, "calc.add");
    assert_eq!((stage.dispatches(drains).len(), stage.dispatches(other).len()), (0, 0));
    let dispatches = stage.dispatches(stays);
    stage.answer(stays, &dispatches[0], b"\x01");
    assert_eq!(stage.answers(client), [(name(1), ok(b"\x01"))]);
}

#[test]
fn a_key_and_a_broadcast_contradict_each_other() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let client = stage.client(9);
    let key = Some(AffinityKey::parse("a").unwrap());
    stage.say(client, Envelope::Request(Request { key: key.clone(), ..broadcast(1, "calc.add") }));
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::InvalidArgument, Executed::No));
    assert_eq!(stage.dispatches(worker), []);
    stage.say(client, Envelope::Request(Request { key, ..request(2, "calc.add") }));
    assert_eq!(stage.dispatches(worker).len(), 1, "the key is free");
}

#[test]
fn the_log_is_told_what_failed_of_a_cast() {
    let mut stage = Stage::new();
    let [lost, stays] = [1, 2].map(|number| stage.worker(number, calc(1)));
    let client = stage.client(9);
    let flags = RequestFlags { broadcast: true, cast: true, ..RequestFlags::default() };
    stage.say(client, Envelope::Request(Request { flags, ..request(1, "calc.add") }));
    let dispatch = stage.dispatches(stays).remove(0);
    stage.answer(stays, &dispatch, b"\x01");
    stage.handle(Event::Closed { connection: lost });
    assert_eq!(stage.replies(client), []);
    let failed = stage.notes.iter().filter_map(|note| match note {
        Diagnostic::CastFailed { failure, .. } => Some((failure.code, &*failure.worker)),
        _ => None,
    });
    assert_eq!(failed.collect::<Vec<_>>(), [(Code::Unavailable, "peer-1")]);
}

#[test]
fn at_its_deadline_it_ends_with_the_answers_there_are_and_the_others_are_stopped() {
    let mut stage = Stage::new();
    let connections = [1, 2, 3].map(|number| stage.worker(number, calc(1)));
    let client = stage.client(9);
    stage.say(client, Envelope::Request(Request { timeout: None, ..request(3, "calc.pay") }));
    let holds = connections.map(|worker| stage.dispatches(worker));
    let holder = holds.iter().position(|all| !all.is_empty()).unwrap();
    stage.say(client, Envelope::Request(Request { timeout: Some(seconds(2)), ..broadcast(4, "calc.add") }));
    let free: Vec<usize> = (0..3).filter(|at| *at != holder).collect();
    let answered = stage.dispatches(connections[free[0]]);
    assert_eq!(answered[0].timeout, Some(seconds(2)));
    stage.answer(connections[free[0]], &answered[0], b"\x07");
    let runs = stage.dispatches(connections[free[1]]);
    stage.pass_with(seconds(2), &[connections[0], connections[1], connections[2], client]);
    let mut expected = [(); 3].map(|()| Err((Code::DeadlineExceeded, Executed::No)));
    expected[free[0]] = ok(b"\x07");
    expected[free[1]] = Err((Code::DeadlineExceeded, Executed::Maybe));
    let expected: Vec<_> = (1..=3).map(name).zip(expected).collect();
    assert_eq!(stage.answers(client), expected);
    let told = stage.heard(connections[free[1]]);
    let stopped =
        |envelope: &Envelope| matches!(envelope, Envelope::Cancel(cancel) if cancel.number == runs[0].number.0);
    assert!(told.iter().any(stopped), "who still runs is asked to stop: {told:?}");
    stage.answer(connections[holder], &holds[holder][0], b"\x00");
    assert_eq!(stage.dispatches(connections[holder]), [], "a part that waited never starts");
}

#[test]
fn a_worker_that_is_lost_or_gives_it_back_is_told_of_in_its_place_and_nobody_else_runs_its_part() {
    let mut stage = Stage::new();
    let [lost, gives, stays] = [1, 2, 3].map(|number| stage.worker(number, calc(4)));
    let client = stage.client(9);
    stage.broadcast(client, 1, "calc.add");
    let [_, given, answered] = [lost, gives, stays].map(|worker| stage.dispatches(worker).remove(0));
    stage.handle(Event::Closed { connection: lost });
    stage.say(gives, Envelope::Handback(given.number));
    stage.answer(stays, &answered, b"\x01");
    let unavailable = |executed| Err((Code::Unavailable, executed));
    let expected =
        [(name(1), unavailable(Executed::Maybe)), (name(2), unavailable(Executed::No)), (name(3), ok(b"\x01"))];
    assert_eq!(stage.answers(client), expected);
    assert_eq!((stage.dispatches(gives), stage.dispatches(stays)), (vec![], vec![]));
}

#[test]
fn one_workers_failure_is_its_answer_and_not_the_calls() {
    let mut stage = Stage::new();
    let [fails, well] = [1, 2].map(|number| stage.worker(number, calc(1)));
    let client = stage.client(9);
    stage.broadcast(client, 1, "calc.add");
    let dispatch = stage.dispatches(fails).remove(0);
    let mut failure = Failure::new(Code::Unknown, Executed::Yes, "no");
    failure.type_name = "Broken".into();
    failure.details = Bytes::from_static(b"\x05");
    let outcome = Err(Box::new(failure));
    let reply = Reply { number: dispatch.number.0, outcome, credit: None::<Credit>, extensions: Bytes::new() };
    stage.say(fails, Envelope::Reply(reply));
    let dispatch = stage.dispatches(well).remove(0);
    stage.answer(well, &dispatch, b"\x01");
    let replies = stage.replies(client);
    let answers: Vec<Answer> = body::decode(replies[0].1.as_ref().unwrap()).unwrap();
    let failure = answers[0].clone().outcome().unwrap_err();
    assert_eq!((&*failure.type_name, &*failure.details, &*failure.worker), ("Broken", &b"\x05"[..], "peer-1"));
    assert_eq!(answers[1].result.as_deref(), Some(&b"\x01"[..]));
}

#[test]
fn it_waits_for_a_first_worker_as_others_do() {
    let mut stage = Stage::new();
    let client = stage.client(9);
    stage.broadcast(client, 1, "calc.add");
    assert_eq!(stage.failure(client).code, Code::Unavailable);
    let flags = RequestFlags { broadcast: true, wait_for_ready: true, ..RequestFlags::default() };
    stage.say(client, Envelope::Request(Request { flags, ..request(2, "calc.add") }));
    let worker = stage.worker(1, calc(1));
    let dispatch = stage.dispatches(worker).remove(0);
    stage.answer(worker, &dispatch, b"\x01");
    assert_eq!(stage.answers(client), [(name(1), ok(b"\x01"))]);
}

#[test]
fn who_gives_it_up_or_goes_away_stops_all_its_parts() {
    let mut stage = Stage::new();
    let [runs, full] = [1, 2].map(|number| stage.worker(number, calc(1)));
    let other = stage.client(8);
    stage.call(other, 1, "calc.pay");
    stage.call(other, 2, "calc.pay");
    let client = stage.client(9);
    stage.heard(runs);
    stage.heard(full);
    stage.broadcast(client, 1, "calc.add");
    stage.say(client, Envelope::Goodbye(None));
    assert_eq!(stage.broker.status(stage.now).open, 2, "what others have called goes on");
    assert_eq!((stage.dispatches(runs), stage.dispatches(full)), (vec![], vec![]));
}

#[test]
fn words_on_a_stream_of_a_broadcast_end_it_and_stop_all_its_parts() {
    let item = Item { number: 1, sequence: 0, latest: None, body: Bytes::from_static(b"\x01") };
    let credit = StreamCredit { number: 1, credit: ItemCredit::WINDOW };
    for word in [Envelope::Item(item), Envelope::End(End { number: 1, items: 0 }), Envelope::StreamCredit(credit)] {
        let mut stage = Stage::new();
        let workers = [1, 2, 3].map(|number| stage.worker(number, calc(1)));
        let client = stage.client(9);
        stage.broadcast(client, 1, "calc.pay");
        let dispatches = workers.map(|worker| stage.dispatches(worker).remove(0));
        stage.answer(workers[0], &dispatches[0], b"\x01");
        stage.broadcast(client, 2, "calc.pay");
        stage.say(client, word);
        let failure = stage.failure(client);
        assert_eq!((failure.code, failure.executed), (Code::InvalidArgument, Executed::Maybe));
        assert!(workers[1..].iter().all(|&worker| matches!(stage.heard(worker)[..], [Envelope::Cancel(_)])));
        (1..3).for_each(|at| stage.answer(workers[at], &dispatches[at], b"\x01"));
        assert_eq!(stage.replies(client), [], "what its parts come to is nobody's any more");
        let next = workers.map(|worker| stage.dispatches(worker).remove(0));
        (0..3).for_each(|at| stage.answer(workers[at], &next[at], b"\x02"));
        assert_eq!(stage.answers(client).len(), 3);
        let status = stage.broker.status(stage.now);
        assert_eq!((status.open, status.services[0].running), (0, 0), "nothing is left of it");
    }
}

#[test]
fn what_does_not_fit_beside_the_others_is_said_in_its_place() {
    let mut stage = Stage::new();
    let [one, two] = [1, 2].map(|number| stage.worker(number, calc(1)));
    let client = stage.client(9);
    stage.broadcast(client, 1, "calc.add");
    let large = Bytes::from(vec![0x40; 9 << 20]);
    for worker in [one, two] {
        let dispatch = stage.dispatches(worker).remove(0);
        let reply =
            Reply { number: dispatch.number.0, outcome: Ok(large.clone()), credit: None, extensions: Bytes::new() };
        stage.say(worker, Envelope::Reply(reply));
    }
    let answers = stage.answers(client);
    assert!(answers[0].1.is_ok());
    assert_eq!(answers[1].1, Err((Code::ResourceExhausted, Executed::Yes)));
}

#[test]
fn what_answers_hold_while_others_are_missing_is_bounded() {
    let mut stage = Stage::new();
    let [quick, _slow] = [1, 2].map(|number| stage.worker(number, calc(100)));
    let client = stage.client(9);
    let room = Settings::default().message_bytes_max - HEADER_BYTES_MAX;
    let most = Bytes::from(vec![0x40; room - 2 * ANSWER_BYTES]);
    let open = BROADCAST_BYTES_MAX / room;
    let rest = most.slice(..BROADCAST_BYTES_MAX - open * room - 2 * ANSWER_BYTES);
    for number in 0..=open {
        stage.broadcast(client, 1 + number as u64, "calc.add");
        let body = if number < open { &most } else { &rest };
        let number = stage.dispatches(quick).remove(0).number.0;
        let reply = Reply { number, outcome: Ok(body.clone()), credit: None, extensions: Bytes::new() };
        stage.say(quick, Envelope::Reply(reply));
    }
    assert_eq!(stage.replies(client), [], "all wait for the second worker");
    stage.broadcast(client, 100, "calc.add");
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::ResourceExhausted, Executed::No));
}

#[test]
fn the_broker_itself_and_streams_are_not_for_broadcasts() {
    let mut stage = Stage::new();
    stage.worker(1, calc(1));
    let client = stage.client(9);
    stage.broadcast(client, 1, "callboard.status");
    assert_eq!(stage.failure(client).code, Code::InvalidArgument);
    let streams = crate::wire::streams::Streams { to_caller: true, ..crate::wire::streams::Streams::NONE };
    stage.say(client, Envelope::Request(Request { streams, ..broadcast(2, "calc.count") }));
    assert_eq!(stage.failure(client).code, Code::InvalidArgument);
}

#[test]
fn the_brokers_end_ends_it_once() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    stage.worker(2, calc(1));
    let client = stage.client(9);
    stage.broadcast(client, 1, "calc.add");
    let deadline = stage.now + millis(500);
    stage.handle(Event::Shutdown { deadline });
    stage.heard(worker);
    stage.pass_with(millis(600), &[]);
    let unavailable = |_| Err((Code::Unavailable, Executed::Maybe));
    assert_eq!(stage.answers(client), [1, 2].map(|number| (name(number), unavailable(()))));
    assert!(stage.stopped);
}
