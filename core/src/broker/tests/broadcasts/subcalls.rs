//! The subcalls of a broadcast, one for each worker: how they are scheduled, and what they wait for.

use super::{
    super::harness::{Harness, calc, seconds},
    broadcast, name, ok,
};
use crate::{
    body,
    broker::{Event, Settings},
    wire::{
        Envelope,
        broadcast::BroadcastReply,
        envelope::{Priority, Request},
        status::{Code, Executed},
    },
};

#[test]
fn a_subcall_to_a_busy_worker_is_scheduled_fairly_and_stays_with_that_worker() {
    let mut harness = Harness::new();
    let connections = [1, 2].map(|number| harness.worker(number, calc(1)));
    let [many, one] = [harness.client(8), harness.client(9)];
    (1..=20).for_each(|number| harness.call(many, number, "calc.add"));
    let [busy, free] = connections.map(|worker| harness.dispatches(worker));
    harness.broadcast(one, 1, "calc.push");
    let mut ran = busy;
    let before = (0..20).take_while(|_| {
        harness.reply(connections[0], &ran[0], b"\x01");
        ran = harness.dispatches(connections[0]);
        ran[0].method.method() != "push"
    });
    assert!(before.count() < 5, "the subcall waits no longer than any call of its client");
    harness.reply(connections[0], &ran[0], b"\x01");
    let mut next = free;
    while next[0].method.method() != "push" {
        harness.reply(connections[1], &next[0], b"\x02");
        next = harness.dispatches(connections[1]);
    }
    harness.reply(connections[1], &next[0], b"\x02");
    assert_eq!(harness.answers(one), [(name(1), ok(b"\x01")), (name(2), ok(b"\x02"))]);
}

#[test]
fn a_client_with_many_broadcasts_gets_only_its_fair_share() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let [many, one] = [harness.client(8), harness.client(9)];
    (1..=20).for_each(|number| harness.broadcast(many, number, "calc.push"));
    harness.call(one, 1, "calc.add");
    let mut subcalls = 0;
    loop {
        let dispatch = harness.dispatches(worker).remove(0);
        harness.reply(worker, &dispatch, b"\x01");
        if dispatch.method.method() == "add" {
            break;
        }
        subcalls += 1;
    }
    assert!(subcalls < 6, "{subcalls} subcalls of one client ran before the call of another");
}

#[test]
fn subcalls_have_the_priority_of_their_broadcast() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let client = harness.client(9);
    (1..=10).for_each(|number| harness.call(client, number, "calc.add"));
    let mut running = harness.dispatches(worker);
    let urgent = Request { priority: Priority::High, ..broadcast(11, "calc.push") };
    harness.send(client, Envelope::Request(urgent));
    let mut before = 0;
    while running[0].method.method() != "push" {
        harness.reply(worker, &running[0], b"\x01");
        running = harness.dispatches(worker);
        before += 1;
    }
    assert!(before < 6, "{before} earlier calls ran before the subcall");
}

#[test]
fn a_subcall_waits_for_its_own_worker_even_if_another_is_free() {
    let mut harness = Harness::new();
    let (full, client) = (harness.worker(1, calc(1)), harness.client(9));
    harness.call(client, 1, "calc.pay");
    let busy = harness.dispatches(full).remove(0);
    let free = harness.worker(2, calc(4));
    harness.broadcast(client, 2, "calc.add");
    assert_eq!([full, free].map(|worker| harness.dispatches(worker).len()), [0, 1]);
    harness.reply(full, &busy, b"\x00");
    assert_eq!([full, free].map(|worker| harness.dispatches(worker).len()), [1, 0]);
}

#[test]
fn a_subcall_that_may_not_wait_is_an_error_in_the_result() {
    let mut harness = Harness::just_started(Settings { queue_calls_max: 1, ..Settings::default() });
    harness.advance(seconds(3));
    let [full, free] = [1, 2].map(|number| harness.worker(number, calc(1)));
    let client = harness.client(9);
    (1..=2).for_each(|number| harness.call(client, number, "calc.pay"));
    let [_, done] = [full, free].map(|worker| harness.dispatches(worker).remove(0));
    harness.reply(free, &done, b"\x00");
    harness.received(client);
    harness.broadcast(client, 3, "calc.add");
    let dispatch = harness.dispatches(free).remove(0);
    // The queue has room for one waiting subcall, and none for the subcall of the next broadcast.
    harness.broadcast(client, 4, "calc.add");
    assert_eq!(harness.broker.status(harness.now).services[0].waiting, 1);
    let exhausted = || Err((Code::ResourceExhausted, Executed::No));
    assert_eq!(harness.answers(client), [(name(1), exhausted()), (name(2), exhausted())]);
    harness.reply(free, &dispatch, b"\x01");
    assert_eq!(harness.replies(client), [], "the first broadcast waits for the worker without a free slot");
}

#[test]
fn a_waiting_subcall_fails_when_its_worker_drains_or_disconnects() {
    for end in [Envelope::Drain, Envelope::Goodbye(None)] {
        let mut harness = Harness::new();
        let worker = harness.worker(1, calc(1));
        let client = harness.client(9);
        harness.call(client, 1, "calc.add");
        harness.broadcast(client, 2, "calc.add");
        harness.send(worker, end);
        let replies = harness.replies(client);
        let (_, outcome) = replies.iter().find(|(number, _)| *number == 2).unwrap();
        let answers: Vec<BroadcastReply> = body::decode(outcome.as_ref().unwrap()).unwrap();
        let failure = answers[0].clone().outcome().unwrap_err();
        assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::No));
    }
}

#[test]
fn why_lists_the_workers_without_a_reply_and_the_wait_reason_of_each_subcall() {
    let mut harness = Harness::new();
    let [one, two] = [1, 2].map(|number| harness.worker(number, calc(1)));
    let client = harness.client(9);
    (1..=2).for_each(|number| harness.call(client, number, "calc.add"));
    let [first, _] = [one, two].map(|worker| harness.dispatches(worker).remove(0));
    harness.broadcast(client, 3, "calc.push");
    harness.reply(one, &first, b"\x00");
    let open: Vec<_> =
        harness.broker.open_calls(harness.now).into_iter().filter(|why| why.method == "calc.push").collect();
    let [whole, running, waiting] = &open[..] else { panic!("expected a broadcast and its two subcalls: {open:?}") };
    assert_eq!(whole.reason, "0 of 2 workers have replied; it waits for peer-1, peer-2 (not started)");
    assert_eq!((&*running.state, &*running.worker, &*running.client), ("running", "peer-1", "peer-9"));
    assert!(running.reason.starts_with("it is at worker peer-1; the worker was last active"), "{}", running.reason);
    let expected = "it is a subcall of a broadcast for worker peer-2, which has no free slot";
    assert_eq!((&*waiting.state, &*waiting.worker), ("waiting", "peer-2"));
    assert!(waiting.reason.starts_with(expected), "{waiting:?}");
    assert_eq!(waiting.busy.iter().map(|busy| &*busy.worker).collect::<Vec<_>>(), ["peer-2"]);
    let dispatch = harness.dispatches(one).remove(0);
    harness.reply(one, &dispatch, b"\x01");
    let open = harness.broker.open_calls(harness.now);
    let whole = open.iter().find(|why| why.reason.contains("replied")).unwrap();
    assert_eq!(whole.reason, "1 of 2 workers have replied; it waits for peer-2 (not started)");
}

#[test]
fn a_subcall_is_never_retried_and_uses_no_retry_budget() {
    let mut harness =
        Harness::just_started(Settings { retry_percent: 0, retry_floor: 0, retry_burst: 1, ..Settings::default() });
    harness.advance(seconds(3));
    let [one, two, three] = [1, 2, 3].map(|number| harness.worker(number, calc(1)));
    let client = harness.client(9);
    harness.broadcast(client, 1, "calc.add");
    [one, two].into_iter().for_each(|connection| harness.handle(Event::Closed { connection }));
    let dispatch = harness.dispatches(three).remove(0);
    harness.reply(three, &dispatch, b"\x01");
    assert_eq!(harness.answers(client).len(), 3);
    let four = harness.worker(4, calc(1));
    harness.call(client, 2, "calc.add");
    let at = if harness.dispatches(four).is_empty() { three } else { four };
    harness.handle(Event::Closed { connection: at });
    let other = if at == four { three } else { four };
    assert_eq!(harness.dispatches(other).len(), 1, "the retry budget is unused, so the call is retried");
}

#[test]
fn subcalls_respect_the_concurrency_limit_of_their_method() {
    let mut harness = Harness::new();
    let mut offer = calc(1);
    offer.methods[0].limits.concurrency = Some(2);
    let connections = [1, 2, 3].map(|number| harness.worker(number, offer.clone()));
    let client = harness.client(9);
    harness.broadcast(client, 1, "calc.add");
    let [one, two, three] = connections.map(|worker| harness.dispatches(worker));
    assert_eq!((one.len(), two.len(), three.len()), (1, 1, 0));
    harness.reply(connections[0], &one[0], b"\x01");
    let three = harness.dispatches(connections[2]);
    harness.reply(connections[1], &two[0], b"\x02");
    harness.reply(connections[2], &three[0], b"\x03");
    assert_eq!(harness.answers(client).len(), 3);
}
