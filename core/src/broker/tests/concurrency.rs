//! Methods of which only so many calls run at once, over all workers.

use super::stage::{Stage, calc};
use crate::{
    broker::{Event, MethodStatus, WaitReason},
    wire::{
        Envelope,
        envelope::Cancel,
        handshake::{MethodLimits, Offer},
        ids::ConnectionId,
        status::Code,
    },
};

/// The service `calc` with at most `max` calls of `add` at once.
fn limited(slots: u32, max: Option<u32>) -> Offer {
    let mut offer = calc(slots);
    offer.methods[0].limits = MethodLimits { concurrency: max, ..MethodLimits::default() };
    offer
}

fn add(stage: &Stage) -> MethodStatus {
    stage.broker.service_statuses(stage.now)[0].methods[0].clone()
}

fn why(stage: &Stage, number: u64) -> WaitReason {
    let open = stage.broker.open_calls(stage.now);
    open.into_iter().find(|why| why.call.ends_with(&format!("-{number}"))).unwrap()
}

/// Two workers with ten slots each, a client, and a limit of two calls of `add`.
fn stage() -> (Stage, [ConnectionId; 2], ConnectionId) {
    let mut stage = Stage::new();
    let workers = [stage.worker(1, limited(10, Some(2))), stage.worker(2, limited(10, Some(2)))];
    let client = stage.client(3);
    (stage, workers, client)
}

#[test]
fn of_a_method_no_more_calls_run_at_once_than_may_over_all_workers() {
    let (mut stage, workers, client) = stage();
    (1..=5).for_each(|number| stage.call(client, number, "calc.add"));
    let sent = workers.map(|worker| stage.dispatches(worker));
    assert_eq!(sent.each_ref().map(Vec::len), [1, 1]);
    assert_eq!((add(&stage).concurrency, add(&stage).running), (Some(2), 2));
    stage.answer(workers[0], &sent[0][0], &[0]);
    let more = workers.map(|worker| stage.dispatches(worker).len());
    assert_eq!(more.iter().sum::<usize>(), 1, "one has ended, so one begins");
}

#[test]
fn calls_of_other_methods_do_not_wait_behind_those() {
    let (mut stage, workers, client) = stage();
    (1..=5).for_each(|number| stage.call(client, number, "calc.add"));
    stage.call(client, 6, "calc.push");
    let sent: Vec<_> = workers.iter().flat_map(|&worker| stage.dispatches(worker)).collect();
    assert!(sent.iter().any(|dispatch| dispatch.method.method() == "push"), "{sent:?}");
}

#[test]
fn a_call_may_begin_at_a_worker_other_than_that_where_one_ended() {
    let mut stage = Stage::new();
    let (one, client) = (stage.worker(1, limited(1, Some(1))), stage.client(3));
    stage.call(client, 1, "calc.add");
    let two = stage.worker(2, limited(1, Some(1)));
    stage.call(client, 2, "calc.add");
    let first = stage.dispatches(one).pop().unwrap();
    stage.say(one, Envelope::Drain);
    assert!(stage.dispatches(two).is_empty());
    stage.answer(one, &first, &[0]);
    assert_eq!(stage.dispatches(two).len(), 1);
}

#[test]
fn a_lost_worker_and_a_call_given_back_make_room_again() {
    let (mut stage, workers, client) = stage();
    (1..=4).for_each(|number| stage.call(client, number, "calc.add"));
    let first = stage.dispatches(workers[0]).pop().unwrap();
    let second = stage.dispatches(workers[1]).pop().unwrap();
    stage.say(workers[0], Envelope::Handback(first.number));
    assert_eq!(add(&stage).running, 2);
    stage.handle(Event::Closed { connection: workers[0] });
    stage.answer(workers[1], &second, &[0]);
    assert_eq!((add(&stage).running, stage.dispatches(workers[1]).len()), (2, 2));
}

#[test]
fn a_call_that_nobody_waits_for_counts_until_its_worker_says_that_it_is_over() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, limited(10, Some(1))), stage.client(3));
    stage.call(client, 1, "calc.add");
    stage.call(client, 2, "calc.add");
    let first = stage.dispatches(worker).pop().unwrap();
    stage.say(client, Envelope::Cancel(Cancel { number: 1, done_below: None }));
    assert!(stage.dispatches(worker).is_empty(), "it may still run");
    stage.answer(worker, &first, &[0]);
    assert_eq!(stage.dispatches(worker).len(), 1);
}

#[test]
fn the_latest_word_on_a_limit_counts() {
    let (mut stage, workers, client) = stage();
    (1..=9).for_each(|number| stage.call(client, number, "calc.add"));
    let three = stage.worker(4, limited(1, Some(5)));
    let begun = |stage: &mut Stage| -> usize {
        [workers[0], workers[1], three].map(|worker| stage.dispatches(worker).len()).iter().sum()
    };
    assert_eq!((begun(&mut stage), add(&stage).running), (5, 5));
    stage.worker(5, limited(1, None));
    assert_eq!(add(&stage).running, 9);
}

#[test]
fn why_tells_that_a_call_waits_for_its_methods_limit_and_for_which_calls() {
    let (mut stage, _, client) = stage();
    stage.call(client, 1, "calc.push");
    (2..=4).for_each(|number| stage.call(client, number, "calc.add"));
    let told = why(&stage, 4);
    assert!(told.reason.contains("2 calls of calc.add run, the maximum at once"), "{}", told.reason);
    assert_eq!(told.busy.len(), 2, "{:?}", told.busy);
}

#[test]
fn a_limit_of_none_at_all_is_refused() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, limited(1, Some(0)));
    let told = stage.sent_away(worker);
    assert_eq!(told.code, Code::InvalidArgument);
    assert!(told.message.contains("calc.add"), "{told}");
}
