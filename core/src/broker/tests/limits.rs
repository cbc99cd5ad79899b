//! Time limits of methods, and workers that are stuck.

use super::stage::{Stage, calc, millis, request, seconds};
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

/// The service `calc`, each method of it with limits of 1 and 2 seconds.
fn limited(slots: u32) -> Offer {
    let mut offer = calc(slots);
    let limits = MethodLimits { soft_ms: Some(1_000), hard_ms: Some(2_000), concurrency: None };
    offer.methods.iter_mut().for_each(|method| method.limits = limits);
    offer
}

fn cancelled(stage: &mut Stage, worker: ConnectionId) -> bool {
    stage.heard(worker).iter().any(|envelope| matches!(envelope, Envelope::Cancel(_)))
}

fn is_stuck(stage: &Stage) -> bool {
    stage.broker.status(stage.now).workers[0].stuck
}

#[test]
fn past_its_soft_limit_a_call_is_told_of_and_past_its_hard_limit_it_ends_and_is_stopped() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, limited(1)), stage.client(2));
    stage.call(client, 1, "calc.pay");
    let dispatch = stage.dispatches(worker).pop().unwrap();
    stage.say(worker, Envelope::Started(dispatch.number));
    stage.pass_with(millis(1_000), &[worker, client]);
    assert!(stage.notes.iter().any(|note| matches!(note, Diagnostic::SlowCall { .. })));
    assert!(stage.replies(client).is_empty() && !cancelled(&mut stage, worker));
    stage.pass_with(millis(1_000), &[worker, client]);
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::DeadlineExceeded, Executed::Yes), "{failure}");
    assert!(failure.message.contains("hard limit") && cancelled(&mut stage, worker));
}

#[test]
fn how_long_a_call_may_run_is_its_own_workers_word_and_not_a_later_ones() {
    let mut stage = Stage::new();
    let short = stage.worker(1, limited(1));
    let client = stage.client(3);
    stage.call(client, 1, "calc.pay");
    let busy = stage.dispatches(short).remove(0);
    let long = stage.worker(2, calc(1));
    stage.answer(short, &busy, b"\x00");
    (2..=3).for_each(|number| stage.call(client, number, "calc.pay"));
    assert_eq!([short, long].map(|worker| stage.dispatches(worker).len()), [1, 1]);
    stage.heard(client);
    stage.pass_with(seconds(3), &[short, long, client]);
    assert_eq!(stage.failure(client).worker, "peer-1");
    assert!(cancelled(&mut stage, short) && !cancelled(&mut stage, long));
}

#[test]
fn a_worker_that_does_not_stop_is_stuck_and_given_nothing_until_it_does() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, limited(2)), stage.client(2));
    stage.call(client, 1, "calc.add");
    let dispatch = stage.dispatches(worker).pop().unwrap();
    stage.pass_with(seconds(2) + UNRESPONSIVE_AFTER - millis(200), &[worker, client]);
    assert!(!is_stuck(&stage));
    stage.pass_with(millis(200), &[worker, client]);
    assert!(is_stuck(&stage) && stage.notes.iter().any(|note| matches!(note, Diagnostic::WorkerUnresponsive { .. })));
    stage.heard(worker);
    stage.call(client, 2, "calc.add");
    assert!(stage.dispatches(worker).is_empty(), "it has a free slot, and may hang with all of them");
    stage.answer(worker, &dispatch, b"\x00");
    assert!(!is_stuck(&stage));
    assert_eq!(stage.dispatches(worker).len(), 1);
}

#[test]
fn a_key_moves_from_a_worker_that_is_stuck() {
    let mut stage = Stage::new();
    let (one, client) = (stage.worker(1, limited(4)), stage.client(3));
    let keyed = |number| {
        let key = Some(AffinityKey::parse("k").unwrap());
        Envelope::Request(Request { key, ..request(number, "calc.push") })
    };
    stage.say(client, keyed(1));
    let first = stage.dispatches(one).pop().unwrap();
    stage.answer(one, &first, b"\x00");
    stage.call(client, 2, "calc.pay");
    let two = stage.worker(2, calc(4));
    stage.pass_with(seconds(2) + UNRESPONSIVE_AFTER, &[one, two, client]);
    stage.say(client, keyed(3));
    assert_eq!(stage.dispatches(two).len(), 1);
}

#[test]
fn a_limit_holds_although_the_caller_has_given_up() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, limited(1)), stage.client(2));
    let mut short = request(1, "calc.add");
    short.timeout = Some(millis(500));
    stage.say(client, Envelope::Request(short));
    stage.pass_with(seconds(2) + UNRESPONSIVE_AFTER, &[worker, client]);
    assert!(is_stuck(&stage));
    stage.handle(Event::Closed { connection: worker });
    assert!(stage.broker.status(stage.now).workers.is_empty());
}

#[test]
fn a_long_call_without_limits_lives_as_long_as_its_time_out() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(1)), stage.client(2));
    let mut patient = request(1, "calc.add");
    patient.timeout = Some(seconds(3_600));
    stage.say(client, Envelope::Request(patient));
    stage.pass_with(seconds(600), &[worker, client]);
    assert!(!is_stuck(&stage) && stage.replies(client).is_empty());
}
