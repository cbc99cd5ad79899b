//! Time limits of methods, and unresponsive workers.

use super::harness::{Harness, calc, millis, request, seconds};
use crate::{
    broker::{Diagnostic, Event},
    wire::{
        Envelope,
        affinity::AffinityKey,
        envelope::Request,
        handshake::{MethodLimits, Offer},
        ids::ConnectionId,
        limits::UNRESPONSIVE_AFTER,
        status::{Code, Executed},
    },
};

/// The service `calc`, with a soft limit of 1 s and a hard limit of 2 s for each method.
fn limited(slots: u32) -> Offer {
    let mut offer = calc(slots);
    let limits = MethodLimits { soft_ms: Some(1_000), hard_ms: Some(2_000), concurrency: None };
    offer.methods.iter_mut().for_each(|method| method.limits = limits);
    offer
}

fn cancelled(harness: &mut Harness, worker: ConnectionId) -> bool {
    harness.received(worker).iter().any(|envelope| matches!(envelope, Envelope::Cancel(_)))
}

fn is_unresponsive(harness: &Harness) -> bool {
    harness.broker.status(harness.now).workers[0].stuck
}

#[test]
fn a_call_is_logged_past_its_soft_limit_and_ends_and_is_stopped_past_its_hard_limit() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, limited(1)), harness.client(2));
    harness.call(client, 1, "calc.pay");
    let dispatch = harness.dispatches(worker).pop().unwrap();
    harness.send(worker, Envelope::Started(dispatch.number));
    harness.advance_with(millis(1_000), &[worker, client]);
    assert!(harness.diagnostics.iter().any(|diagnostic| matches!(diagnostic, Diagnostic::SlowCall { .. })));
    assert!(harness.replies(client).is_empty() && !cancelled(&mut harness, worker));
    harness.advance_with(millis(1_000), &[worker, client]);
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::DeadlineExceeded, Executed::Yes), "{failure}");
    assert!(failure.message.contains("hard limit") && cancelled(&mut harness, worker));
}

#[test]
fn the_worker_of_a_call_sets_its_time_limits_and_later_workers_do_not() {
    let mut harness = Harness::new();
    let short = harness.worker(1, limited(1));
    let client = harness.client(3);
    harness.call(client, 1, "calc.pay");
    let busy = harness.dispatches(short).remove(0);
    let long = harness.worker(2, calc(1));
    harness.reply(short, &busy, b"\x00");
    (2..=3).for_each(|number| harness.call(client, number, "calc.pay"));
    assert_eq!([short, long].map(|worker| harness.dispatches(worker).len()), [1, 1]);
    harness.received(client);
    harness.advance_with(seconds(3), &[short, long, client]);
    assert_eq!(harness.failure(client).worker, "peer-1");
    assert!(cancelled(&mut harness, short) && !cancelled(&mut harness, long));
}

#[test]
fn a_worker_that_does_not_stop_a_call_is_unresponsive_and_gets_no_calls_until_it_does() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, limited(2)), harness.client(2));
    harness.call(client, 1, "calc.add");
    let dispatch = harness.dispatches(worker).pop().unwrap();
    harness.advance_with(seconds(2) + UNRESPONSIVE_AFTER - millis(200), &[worker, client]);
    assert!(!is_unresponsive(&harness));
    harness.advance_with(millis(200), &[worker, client]);
    assert!(
        is_unresponsive(&harness)
            && harness.diagnostics.iter().any(|diagnostic| matches!(diagnostic, Diagnostic::WorkerUnresponsive { .. }))
    );
    harness.received(worker);
    harness.call(client, 2, "calc.add");
    assert!(harness.dispatches(worker).is_empty(), "an unresponsive worker gets no calls, even with a free slot");
    harness.reply(worker, &dispatch, b"\x00");
    assert!(!is_unresponsive(&harness));
    assert_eq!(harness.dispatches(worker).len(), 1);
}

#[test]
fn a_key_moves_from_an_unresponsive_worker() {
    let mut harness = Harness::new();
    let (one, client) = (harness.worker(1, limited(4)), harness.client(3));
    let keyed = |number| {
        let key = Some(AffinityKey::parse("k").unwrap());
        Envelope::Request(Request { key: key.map(Box::new), ..request(number, "calc.push") })
    };
    harness.send(client, keyed(1));
    let first = harness.dispatches(one).pop().unwrap();
    harness.reply(one, &first, b"\x00");
    harness.call(client, 2, "calc.pay");
    let two = harness.worker(2, calc(4));
    harness.advance_with(seconds(2) + UNRESPONSIVE_AFTER, &[one, two, client]);
    harness.send(client, keyed(3));
    assert_eq!(harness.dispatches(two).len(), 1);
}

#[test]
fn a_time_limit_applies_after_the_caller_has_cancelled() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, limited(1)), harness.client(2));
    let mut short = request(1, "calc.add");
    short.timeout = Some(millis(500));
    harness.send(client, Envelope::Request(short));
    harness.advance_with(seconds(2) + UNRESPONSIVE_AFTER, &[worker, client]);
    assert!(is_unresponsive(&harness));
    harness.handle(Event::Closed { connection: worker });
    assert!(harness.broker.status(harness.now).workers.is_empty());
}

#[test]
fn a_call_without_limits_runs_until_its_timeout() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(1)), harness.client(2));
    let mut long = request(1, "calc.add");
    long.timeout = Some(seconds(3_600));
    harness.send(client, Envelope::Request(long));
    harness.advance_with(seconds(600), &[worker, client]);
    assert!(!is_unresponsive(&harness) && harness.replies(client).is_empty());
}
