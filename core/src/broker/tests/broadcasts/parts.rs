//! The parts of a broadcast, one a worker: whose turn they have, and what they wait for.

use super::{
    super::stage::{Stage, calc, seconds},
    broadcast, name, ok,
};
use crate::{
    body,
    broker::{Event, Settings},
    wire::{
        Envelope,
        broadcast::Answer,
        envelope::{Priority, Request},
        status::{Code, Executed},
    },
};

#[test]
fn a_worker_without_a_free_slot_gets_its_part_in_the_callers_turn_and_nobody_else_does() {
    let mut stage = Stage::new();
    let connections = [1, 2].map(|number| stage.worker(number, calc(1)));
    let [many, one] = [stage.client(8), stage.client(9)];
    (1..=20).for_each(|number| stage.call(many, number, "calc.add"));
    let [busy, free] = connections.map(|worker| stage.dispatches(worker));
    stage.broadcast(one, 1, "calc.push");
    let mut ran = busy;
    let before = (0..20).take_while(|_| {
        stage.answer(connections[0], &ran[0], b"\x01");
        ran = stage.dispatches(connections[0]);
        ran[0].method.method() != "push"
    });
    assert!(before.count() < 5, "it waits no longer than any call of its client");
    stage.answer(connections[0], &ran[0], b"\x01");
    let mut next = free;
    while next[0].method.method() != "push" {
        stage.answer(connections[1], &next[0], b"\x02");
        next = stage.dispatches(connections[1]);
    }
    stage.answer(connections[1], &next[0], b"\x02");
    assert_eq!(stage.answers(one), [(name(1), ok(b"\x01")), (name(2), ok(b"\x02"))]);
}

#[test]
fn who_broadcasts_much_has_its_turns_and_no_more() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let [many, one] = [stage.client(8), stage.client(9)];
    (1..=20).for_each(|number| stage.broadcast(many, number, "calc.push"));
    stage.call(one, 1, "calc.add");
    let mut parts = 0;
    loop {
        let dispatch = stage.dispatches(worker).remove(0);
        stage.answer(worker, &dispatch, b"\x01");
        if dispatch.method.method() == "add" {
            break;
        }
        parts += 1;
    }
    assert!(parts < 6, "{parts} parts of one client run before the call of another");
}

#[test]
fn its_parts_have_its_priority() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let client = stage.client(9);
    (1..=10).for_each(|number| stage.call(client, number, "calc.add"));
    let mut running = stage.dispatches(worker);
    let urgent = Request { priority: Priority::High, ..broadcast(11, "calc.push") };
    stage.say(client, Envelope::Request(urgent));
    let mut before = 0;
    while running[0].method.method() != "push" {
        stage.answer(worker, &running[0], b"\x01");
        running = stage.dispatches(worker);
        before += 1;
    }
    assert!(before < 6, "{before} calls that came earlier have run");
}

#[test]
fn a_part_waits_for_its_own_worker_though_another_is_free() {
    let mut stage = Stage::new();
    let (full, client) = (stage.worker(1, calc(1)), stage.client(9));
    stage.call(client, 1, "calc.pay");
    let busy = stage.dispatches(full).remove(0);
    let free = stage.worker(2, calc(4));
    stage.broadcast(client, 2, "calc.add");
    assert_eq!([full, free].map(|worker| stage.dispatches(worker).len()), [0, 1]);
    stage.answer(full, &busy, b"\x00");
    assert_eq!([full, free].map(|worker| stage.dispatches(worker).len()), [1, 0]);
}

#[test]
fn a_part_that_may_not_wait_is_refused_in_its_place() {
    let mut stage = Stage::young(Settings { queue_calls_max: 1, ..Settings::default() });
    stage.pass(seconds(3));
    let [full, free] = [1, 2].map(|number| stage.worker(number, calc(1)));
    let client = stage.client(9);
    (1..=2).for_each(|number| stage.call(client, number, "calc.pay"));
    let [_, done] = [full, free].map(|worker| stage.dispatches(worker).remove(0));
    stage.answer(free, &done, b"\x00");
    stage.heard(client);
    stage.broadcast(client, 3, "calc.add");
    let dispatch = stage.dispatches(free).remove(0);
    // There is room for one part beside it, and none for that of the next.
    stage.broadcast(client, 4, "calc.add");
    assert_eq!(stage.broker.status(stage.now).services[0].waiting, 1);
    let exhausted = || Err((Code::ResourceExhausted, Executed::No));
    assert_eq!(stage.answers(client), [(name(1), exhausted()), (name(2), exhausted())]);
    stage.answer(free, &dispatch, b"\x01");
    assert_eq!(stage.replies(client), [], "the first waits for the worker that is full");
}

#[test]
fn a_part_that_waits_has_its_answer_when_its_worker_drains_or_leaves() {
    for end in [Envelope::Drain, Envelope::Goodbye(None)] {
        let mut stage = Stage::new();
        let worker = stage.worker(1, calc(1));
        let client = stage.client(9);
        stage.call(client, 1, "calc.add");
        stage.broadcast(client, 2, "calc.add");
        stage.say(worker, end);
        let replies = stage.replies(client);
        let (_, outcome) = replies.iter().find(|(number, _)| *number == 2).unwrap();
        let answers: Vec<Answer> = body::decode(outcome.as_ref().unwrap()).unwrap();
        let failure = answers[0].clone().outcome().unwrap_err();
        assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::No));
    }
}

#[test]
fn why_tells_which_workers_it_waits_for_and_what_each_part_waits_for() {
    let mut stage = Stage::new();
    let [one, two] = [1, 2].map(|number| stage.worker(number, calc(1)));
    let client = stage.client(9);
    (1..=2).for_each(|number| stage.call(client, number, "calc.add"));
    let [first, _] = [one, two].map(|worker| stage.dispatches(worker).remove(0));
    stage.broadcast(client, 3, "calc.push");
    stage.answer(one, &first, b"\x00");
    let told: Vec<_> = stage.broker.open_calls(stage.now).into_iter().filter(|why| why.method == "calc.push").collect();
    let [whole, running, waiting] = &told[..] else { panic!("a broadcast and its two parts: {told:?}") };
    assert_eq!(whole.reason, "0 of 2 workers have replied; it waits for peer-1, peer-2 (not started)");
    assert_eq!((&*running.state, &*running.worker, &*running.client), ("running", "peer-1", "peer-9"));
    assert!(running.reason.starts_with("it is at worker peer-1; the worker was last active"), "{}", running.reason);
    let expected = "it is a subcall of a broadcast for worker peer-2, which has no free slot";
    assert_eq!((&*waiting.state, &*waiting.worker), ("waiting", "peer-2"));
    assert!(waiting.reason.starts_with(expected), "{waiting:?}");
    assert_eq!(waiting.busy.iter().map(|busy| &*busy.worker).collect::<Vec<_>>(), ["peer-2"]);
    let dispatch = stage.dispatches(one).remove(0);
    stage.answer(one, &dispatch, b"\x01");
    let told = stage.broker.open_calls(stage.now);
    let whole = told.iter().find(|why| why.reason.contains("replied")).unwrap();
    assert_eq!(whole.reason, "1 of 2 workers have replied; it waits for peer-2 (not started)");
}

#[test]
fn a_part_is_never_repeated_and_costs_its_service_no_retry() {
    let mut stage = Stage::young(Settings { retry_percent: 0, retry_floor: 0, retry_burst: 1, ..Settings::default() });
    stage.pass(seconds(3));
    let [one, two, three] = [1, 2, 3].map(|number| stage.worker(number, calc(1)));
    let client = stage.client(9);
    stage.broadcast(client, 1, "calc.add");
    [one, two].into_iter().for_each(|connection| stage.handle(Event::Closed { connection }));
    let dispatch = stage.dispatches(three).remove(0);
    stage.answer(three, &dispatch, b"\x01");
    assert_eq!(stage.answers(client).len(), 3);
    let four = stage.worker(4, calc(1));
    stage.call(client, 2, "calc.add");
    let at = if stage.dispatches(four).is_empty() { three } else { four };
    stage.handle(Event::Closed { connection: at });
    let other = if at == four { three } else { four };
    assert_eq!(stage.dispatches(other).len(), 1, "the one retry is there for a call that can have it");
}

#[test]
fn the_parts_of_a_method_with_a_limit_run_as_many_at_once_as_it_allows() {
    let mut stage = Stage::new();
    let mut offer = calc(1);
    offer.methods[0].limits.concurrency = Some(2);
    let connections = [1, 2, 3].map(|number| stage.worker(number, offer.clone()));
    let client = stage.client(9);
    stage.broadcast(client, 1, "calc.add");
    let [one, two, three] = connections.map(|worker| stage.dispatches(worker));
    assert_eq!((one.len(), two.len(), three.len()), (1, 1, 0));
    stage.answer(connections[0], &one[0], b"\x01");
    let three = stage.dispatches(connections[2]);
    stage.answer(connections[1], &two[0], b"\x02");
    stage.answer(connections[2], &three[0], b"\x03");
    assert_eq!(stage.answers(client).len(), 3);
}
