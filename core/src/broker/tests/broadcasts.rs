//! Calls to every worker of a service.

mod subcalls;

use bytes::Bytes;

use super::harness::{Harness, calc, millis, request, seconds};
use crate::{
    body,
    broker::{Diagnostic, Event, Settings},
    wire::{
        Envelope,
        affinity::AffinityKey,
        broadcast::BroadcastReply,
        envelope::{Credit, End, Items, Reply, Request, RequestFlags, StreamCredit},
        ids::ConnectionId,
        item_batch::ItemBatch,
        limits::{BROADCAST_BYTES_MAX, BROADCAST_REPLY_OVERHEAD_BYTES, HEADER_BYTES_MAX},
        status::{Code, Executed, Failure},
        streams::{ItemCredit, Streams, Style},
    },
};

/// A result, or the code and the `executed` of a failure.
type Outcome = Result<Bytes, (Code, Executed)>;

fn broadcast(number: u64, method: &str) -> Request {
    let flags = RequestFlags { broadcast: true, ..RequestFlags::default() };
    Request { flags, ..request(number, method) }
}

impl Harness {
    fn broadcast(&mut self, client: ConnectionId, number: u64, method: &str) {
        self.send(client, Envelope::Request(broadcast(number, method)));
    }

    /// Takes the result of the single broadcast that ended: the name and the outcome of each worker.
    fn answers(&mut self, client: ConnectionId) -> Vec<(String, Outcome)> {
        let replies = self.replies(client);
        assert_eq!(replies.len(), 1, "{replies:?}");
        let answers: Vec<BroadcastReply> = body::decode(replies[0].1.as_ref().unwrap()).unwrap();
        let outcome = |answer: BroadcastReply| {
            let worker = answer.worker.clone();
            (worker, answer.outcome().map_err(|failure| (failure.code, failure.executed)))
        };
        answers.into_iter().map(outcome).collect()
    }
}

fn name(number: u8) -> String {
    format!("peer-{number}")
}

fn ok(body: &'static [u8]) -> Outcome {
    Ok(Bytes::from_static(body))
}

#[test]
fn a_broadcast_runs_once_on_every_worker_and_returns_all_results_in_one_reply() {
    let mut harness = Harness::new();
    let workers = [1, 2, 3].map(|number| harness.worker(number, calc(2)));
    let client = harness.client(9);
    harness.broadcast(client, 1, "calc.pay");
    for (worker, answer) in workers.into_iter().zip([b"\x01", b"\x02", b"\x03"]) {
        assert_eq!(harness.replies(client), [], "the broadcast waits for all workers");
        let dispatches = harness.dispatches(worker);
        assert_eq!(dispatches.len(), 1);
        harness.reply(worker, &dispatches[0], answer);
    }
    let expected = [(name(1), ok(b"\x01")), (name(2), ok(b"\x02")), (name(3), ok(b"\x03"))];
    assert_eq!(harness.answers(client), expected);
    assert_eq!(harness.broker.status(harness.now).open, 0);
}

#[test]
fn only_workers_that_serve_the_method_and_do_not_drain_get_a_broadcast() {
    let mut harness = Harness::new();
    let stays = harness.worker(1, calc(1));
    let drains = harness.worker(2, calc(1));
    harness.send(drains, Envelope::Drain);
    let mut offer = calc(1);
    offer.methods.retain(|method| method.name != "add");
    let other = harness.worker(3, offer);
    let client = harness.client(9);
    harness.broadcast(client, 1, "calc.add");
    assert_eq!((harness.dispatches(drains).len(), harness.dispatches(other).len()), (0, 0));
    let dispatches = harness.dispatches(stays);
    harness.reply(stays, &dispatches[0], b"\x01");
    assert_eq!(harness.answers(client), [(name(1), ok(b"\x01"))]);
}

#[test]
fn a_broadcast_with_an_affinity_key_is_rejected() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let client = harness.client(9);
    let key = Some(Box::new(AffinityKey::parse("a").unwrap()));
    harness.send(client, Envelope::Request(Request { key: key.clone(), ..broadcast(1, "calc.add") }));
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::InvalidArgument, Executed::No));
    assert_eq!(harness.dispatches(worker), []);
    harness.send(client, Envelope::Request(Request { key, ..request(2, "calc.add") }));
    assert_eq!(harness.dispatches(worker).len(), 1, "the rejected broadcast does not hold the key");
}

#[test]
fn failed_subcalls_of_a_cast_are_logged() {
    let mut harness = Harness::new();
    let [lost, stays] = [1, 2].map(|number| harness.worker(number, calc(1)));
    let client = harness.client(9);
    let flags = RequestFlags { broadcast: true, cast: true, ..RequestFlags::default() };
    harness.send(client, Envelope::Request(Request { flags, ..request(1, "calc.add") }));
    let dispatch = harness.dispatches(stays).remove(0);
    harness.reply(stays, &dispatch, b"\x01");
    harness.handle(Event::Closed { connection: lost });
    assert_eq!(harness.replies(client), []);
    let failed = harness.diagnostics.iter().filter_map(|diagnostic| match diagnostic {
        Diagnostic::CastFailed { failure, .. } => Some((failure.code, &*failure.worker)),
        _ => None,
    });
    assert_eq!(failed.collect::<Vec<_>>(), [(Code::Unavailable, "peer-1")]);
}

#[test]
fn a_broadcast_ends_at_its_deadline_with_partial_results_and_cancels_the_other_subcalls() {
    let mut harness = Harness::new();
    let connections = [1, 2, 3].map(|number| harness.worker(number, calc(1)));
    let client = harness.client(9);
    harness.send(client, Envelope::Request(Request { timeout: None, ..request(3, "calc.pay") }));
    let holds = connections.map(|worker| harness.dispatches(worker));
    let holder = holds.iter().position(|all| !all.is_empty()).unwrap();
    harness.send(client, Envelope::Request(Request { timeout: Some(seconds(2)), ..broadcast(4, "calc.add") }));
    let free: Vec<usize> = (0..3).filter(|at| *at != holder).collect();
    let answered = harness.dispatches(connections[free[0]]);
    assert_eq!(answered[0].timeout, Some(seconds(2)));
    harness.reply(connections[free[0]], &answered[0], b"\x07");
    let runs = harness.dispatches(connections[free[1]]);
    harness.advance_with(seconds(2), &[connections[0], connections[1], connections[2], client]);
    let mut expected = [(); 3].map(|()| Err((Code::DeadlineExceeded, Executed::No)));
    expected[free[0]] = ok(b"\x07");
    expected[free[1]] = Err((Code::DeadlineExceeded, Executed::Maybe));
    let expected: Vec<_> = (1..=3).map(name).zip(expected).collect();
    assert_eq!(harness.answers(client), expected);
    let received = harness.received(connections[free[1]]);
    let stopped =
        |envelope: &Envelope| matches!(envelope, Envelope::Cancel(cancel) if cancel.number == runs[0].number.0);
    assert!(received.iter().any(stopped), "the running subcall is cancelled: {received:?}");
    harness.reply(connections[holder], &holds[holder][0], b"\x00");
    assert_eq!(harness.dispatches(connections[holder]), [], "a waiting subcall never starts");
}

#[test]
fn a_lost_or_handed_back_subcall_is_an_error_in_the_result_and_runs_on_no_other_worker() {
    let mut harness = Harness::new();
    let [lost, gives, stays] = [1, 2, 3].map(|number| harness.worker(number, calc(4)));
    let client = harness.client(9);
    harness.broadcast(client, 1, "calc.add");
    let [_, given, answered] = [lost, gives, stays].map(|worker| harness.dispatches(worker).remove(0));
    harness.handle(Event::Closed { connection: lost });
    harness.send(gives, Envelope::Handback(given.number));
    harness.reply(stays, &answered, b"\x01");
    let unavailable = |executed| Err((Code::Unavailable, executed));
    let expected =
        [(name(1), unavailable(Executed::Maybe)), (name(2), unavailable(Executed::No)), (name(3), ok(b"\x01"))];
    assert_eq!(harness.answers(client), expected);
    assert_eq!((harness.dispatches(gives), harness.dispatches(stays)), (vec![], vec![]));
}

#[test]
fn a_failure_of_one_worker_does_not_fail_the_broadcast() {
    let mut harness = Harness::new();
    let [fails, well] = [1, 2].map(|number| harness.worker(number, calc(1)));
    let client = harness.client(9);
    harness.broadcast(client, 1, "calc.add");
    let dispatch = harness.dispatches(fails).remove(0);
    let mut failure = Failure::new(Code::Unknown, Executed::Yes, "no");
    failure.type_name = "Broken".into();
    failure.details = Bytes::from_static(b"\x05");
    let outcome = Err(Box::new(failure));
    let reply = Reply {
        number: dispatch.number.0,
        outcome,
        credit: None::<Credit>,
        handler_time: None,
        extensions: Default::default(),
    };
    harness.send(fails, Envelope::Reply(reply));
    let dispatch = harness.dispatches(well).remove(0);
    harness.reply(well, &dispatch, b"\x01");
    let replies = harness.replies(client);
    let answers: Vec<BroadcastReply> = body::decode(replies[0].1.as_ref().unwrap()).unwrap();
    let failure = answers[0].clone().outcome().unwrap_err();
    assert_eq!((&*failure.type_name, &*failure.details, &*failure.worker), ("Broken", &b"\x05"[..], "peer-1"));
    assert_eq!(answers[1].result.as_deref(), Some(&b"\x01"[..]));
}

#[test]
fn a_broadcast_waits_for_a_first_worker_like_other_calls() {
    let mut harness = Harness::new();
    let client = harness.client(9);
    harness.broadcast(client, 1, "calc.add");
    assert_eq!(harness.failure(client).code, Code::Unavailable);
    let flags = RequestFlags { broadcast: true, wait_for_ready: true, ..RequestFlags::default() };
    harness.send(client, Envelope::Request(Request { flags, ..request(2, "calc.add") }));
    let worker = harness.worker(1, calc(1));
    let dispatch = harness.dispatches(worker).remove(0);
    harness.reply(worker, &dispatch, b"\x01");
    assert_eq!(harness.answers(client), [(name(1), ok(b"\x01"))]);
}

#[test]
fn cancelling_a_broadcast_or_losing_its_client_stops_all_subcalls() {
    let mut harness = Harness::new();
    let [runs, full] = [1, 2].map(|number| harness.worker(number, calc(1)));
    let other = harness.client(8);
    harness.call(other, 1, "calc.pay");
    harness.call(other, 2, "calc.pay");
    let client = harness.client(9);
    harness.received(runs);
    harness.received(full);
    harness.broadcast(client, 1, "calc.add");
    harness.send(client, Envelope::Goodbye(None));
    assert_eq!(harness.broker.status(harness.now).open, 2, "calls of other clients continue");
    assert_eq!((harness.dispatches(runs), harness.dispatches(full)), (vec![], vec![]));
}

#[test]
fn a_stream_message_for_a_broadcast_ends_it_and_stops_all_subcalls() {
    let batch = ItemBatch::one(Bytes::from_static(b"\x01"));
    let item = Items { number: 1, sequence: 0, latest: None, batch };
    let credit = StreamCredit { number: 1, credit: ItemCredit::WINDOW };
    for message in [Envelope::Items(item), Envelope::End(End { number: 1, items: 0 }), Envelope::StreamCredit(credit)] {
        let mut harness = Harness::new();
        let workers = [1, 2, 3].map(|number| harness.worker(number, calc(1)));
        let client = harness.client(9);
        harness.broadcast(client, 1, "calc.pay");
        let dispatches = workers.map(|worker| harness.dispatches(worker).remove(0));
        harness.reply(workers[0], &dispatches[0], b"\x01");
        harness.broadcast(client, 2, "calc.pay");
        harness.send(client, message);
        let failure = harness.failure(client);
        assert_eq!((failure.code, failure.executed), (Code::InvalidArgument, Executed::Maybe));
        assert!(workers[1..].iter().all(|&worker| matches!(harness.received(worker)[..], [Envelope::Cancel(_)])));
        (1..3).for_each(|at| harness.reply(workers[at], &dispatches[at], b"\x01"));
        assert_eq!(harness.replies(client), [], "results of the stopped subcalls are dropped");
        let next = workers.map(|worker| harness.dispatches(worker).remove(0));
        (0..3).for_each(|at| harness.reply(workers[at], &next[at], b"\x02"));
        assert_eq!(harness.answers(client).len(), 3);
        let status = harness.broker.status(harness.now);
        assert_eq!((status.open, status.services[0].running), (0, 0), "the broadcast leaves no state");
    }
}

#[test]
fn a_result_too_large_for_the_broadcast_reply_is_replaced_by_an_error() {
    let mut harness = Harness::new();
    let [one, two] = [1, 2].map(|number| harness.worker(number, calc(1)));
    let client = harness.client(9);
    harness.broadcast(client, 1, "calc.add");
    let large = Bytes::from(vec![0x40; 9 << 20]);
    for worker in [one, two] {
        let dispatch = harness.dispatches(worker).remove(0);
        let reply = Reply {
            number: dispatch.number.0,
            outcome: Ok(large.clone()),
            credit: None,
            handler_time: None,
            extensions: Default::default(),
        };
        harness.send(worker, Envelope::Reply(reply));
    }
    let answers = harness.answers(client);
    assert!(answers[0].1.is_ok());
    assert_eq!(answers[1].1, Err((Code::ResourceExhausted, Executed::Yes)));
}

#[test]
fn buffered_broadcast_results_are_bounded() {
    let mut harness = Harness::new();
    let [quick, _slow] = [1, 2].map(|number| harness.worker(number, calc(100)));
    let client = harness.client(9);
    let bytes_max = Settings::default().message_bytes_max - HEADER_BYTES_MAX;
    let most = Bytes::from(vec![0x40; bytes_max - 2 * BROADCAST_REPLY_OVERHEAD_BYTES]);
    let open = BROADCAST_BYTES_MAX / bytes_max;
    let rest = most.slice(..BROADCAST_BYTES_MAX - open * bytes_max - 2 * BROADCAST_REPLY_OVERHEAD_BYTES);
    for number in 0..=open {
        harness.broadcast(client, 1 + number as u64, "calc.add");
        let body = if number < open { &most } else { &rest };
        let number = harness.dispatches(quick).remove(0).number.0;
        let reply = Reply {
            number,
            outcome: Ok(body.clone()),
            credit: None,
            handler_time: None,
            extensions: Default::default(),
        };
        harness.send(quick, Envelope::Reply(reply));
    }
    assert_eq!(harness.replies(client), [], "all broadcasts wait for the second worker");
    harness.broadcast(client, 100, "calc.add");
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::ResourceExhausted, Executed::No));
}

#[test]
fn broadcasts_to_the_broker_or_with_streams_are_rejected() {
    let mut harness = Harness::new();
    harness.worker(1, calc(1));
    let client = harness.client(9);
    harness.broadcast(client, 1, "callboard.status");
    assert_eq!(harness.failure(client).code, Code::InvalidArgument);
    let streams = Streams { style: Style::Server, ..Streams::NONE };
    harness.send(client, Envelope::Request(Request { streams, ..broadcast(2, "calc.count") }));
    assert_eq!(harness.failure(client).code, Code::InvalidArgument);
}

#[test]
fn a_broadcast_ends_once_when_the_broker_stops() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    harness.worker(2, calc(1));
    let client = harness.client(9);
    harness.broadcast(client, 1, "calc.add");
    let deadline = harness.now + millis(500);
    harness.handle(Event::Shutdown { deadline });
    harness.received(worker);
    harness.advance_with(millis(600), &[]);
    let unavailable = |_| Err((Code::Unavailable, Executed::Maybe));
    assert_eq!(harness.answers(client), [1, 2].map(|number| (name(number), unavailable(()))));
    assert!(harness.stopped);
}
