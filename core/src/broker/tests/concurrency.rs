//! Concurrency limits of methods, which hold over all workers.

use super::harness::{Harness, calc};
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

fn add(harness: &Harness) -> MethodStatus {
    harness.broker.service_statuses(harness.now)[0].methods[0].clone()
}

fn why(harness: &Harness, number: u64) -> WaitReason {
    let open = harness.broker.open_calls(harness.now);
    open.into_iter().find(|why| why.call.ends_with(&format!("-{number}"))).unwrap()
}

/// Two workers with ten slots each, a client, and a limit of two calls of `add`.
fn harness() -> (Harness, [ConnectionId; 2], ConnectionId) {
    let mut harness = Harness::new();
    let workers = [harness.worker(1, limited(10, Some(2))), harness.worker(2, limited(10, Some(2)))];
    let client = harness.client(3);
    (harness, workers, client)
}

#[test]
fn the_concurrency_limit_of_a_method_holds_over_all_workers() {
    let (mut harness, workers, client) = harness();
    (1..=5).for_each(|number| harness.call(client, number, "calc.add"));
    let sent = workers.map(|worker| harness.dispatches(worker));
    assert_eq!(sent.each_ref().map(Vec::len), [1, 1]);
    assert_eq!((add(&harness).concurrency, add(&harness).running), (Some(2), 2));
    harness.reply(workers[0], &sent[0][0], &[0]);
    let more = workers.map(|worker| harness.dispatches(worker).len());
    assert_eq!(more.iter().sum::<usize>(), 1, "one call ended, so one starts");
}

#[test]
fn calls_of_other_methods_do_not_wait_behind_a_limited_method() {
    let (mut harness, workers, client) = harness();
    (1..=5).for_each(|number| harness.call(client, number, "calc.add"));
    harness.call(client, 6, "calc.push");
    let sent: Vec<_> = workers.iter().flat_map(|&worker| harness.dispatches(worker)).collect();
    assert!(sent.iter().any(|dispatch| dispatch.method.method() == "push"), "{sent:?}");
}

#[test]
fn a_call_may_start_on_a_worker_other_than_the_one_that_finished() {
    let mut harness = Harness::new();
    let (one, client) = (harness.worker(1, limited(1, Some(1))), harness.client(3));
    harness.call(client, 1, "calc.add");
    let two = harness.worker(2, limited(1, Some(1)));
    harness.call(client, 2, "calc.add");
    let first = harness.dispatches(one).pop().unwrap();
    harness.send(one, Envelope::Drain);
    assert!(harness.dispatches(two).is_empty());
    harness.reply(one, &first, &[0]);
    assert_eq!(harness.dispatches(two).len(), 1);
}

#[test]
fn a_lost_worker_and_a_handback_free_concurrency() {
    let (mut harness, workers, client) = harness();
    (1..=4).for_each(|number| harness.call(client, number, "calc.add"));
    let first = harness.dispatches(workers[0]).pop().unwrap();
    let second = harness.dispatches(workers[1]).pop().unwrap();
    harness.send(workers[0], Envelope::Handback(first.number));
    assert_eq!(add(&harness).running, 2);
    harness.handle(Event::Closed { connection: workers[0] });
    harness.reply(workers[1], &second, &[0]);
    assert_eq!((add(&harness).running, harness.dispatches(workers[1]).len()), (2, 2));
}

#[test]
fn a_cancelled_call_counts_against_the_limit_until_its_worker_ends_it() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, limited(10, Some(1))), harness.client(3));
    harness.call(client, 1, "calc.add");
    harness.call(client, 2, "calc.add");
    let first = harness.dispatches(worker).pop().unwrap();
    harness.send(client, Envelope::Cancel(Cancel { number: 1, done_below: None }));
    assert!(harness.dispatches(worker).is_empty(), "the cancelled call may still run");
    harness.reply(worker, &first, &[0]);
    assert_eq!(harness.dispatches(worker).len(), 1);
}

#[test]
fn the_latest_registration_sets_the_concurrency_limit() {
    let (mut harness, workers, client) = harness();
    (1..=9).for_each(|number| harness.call(client, number, "calc.add"));
    let three = harness.worker(4, limited(1, Some(5)));
    let started = |harness: &mut Harness| -> usize {
        [workers[0], workers[1], three].map(|worker| harness.dispatches(worker).len()).iter().sum()
    };
    assert_eq!((started(&mut harness), add(&harness).running), (5, 5));
    harness.worker(5, limited(1, None));
    assert_eq!(add(&harness).running, 9);
}

#[test]
fn why_names_the_concurrency_limit_and_the_calls_that_use_it() {
    let (mut harness, _, client) = harness();
    harness.call(client, 1, "calc.push");
    (2..=4).for_each(|number| harness.call(client, number, "calc.add"));
    let wait = why(&harness, 4);
    assert!(wait.reason.contains("2 calls of calc.add run, the maximum at once"), "{}", wait.reason);
    assert_eq!(wait.busy.len(), 2, "{:?}", wait.busy);
}

#[test]
fn a_concurrency_limit_of_zero_is_rejected() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, limited(1, Some(0)));
    let failure = harness.disconnect_reason(worker);
    assert_eq!(failure.code, Code::InvalidArgument);
    assert!(failure.message.contains("calc.add"), "{failure}");
}
