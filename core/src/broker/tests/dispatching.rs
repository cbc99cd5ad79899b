//! Dispatch: which worker runs a call, which call runs next, and when a call waits.

use serde_json::json;

use super::harness::{Harness, calc, hello, millis, request, seconds};
use crate::{
    body,
    broker::{Endpoint, Event, Settings},
    wire::{
        Envelope,
        envelope::{Cancel, Credit, Effect},
        handshake::Role,
        ids::DispatchNumber,
        limits::HANDBACK_PAUSE,
        status::{Code, Executed},
    },
};

#[test]
fn a_call_reaches_a_worker_and_its_reply_the_client() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(4));
    let client = harness.client(2);
    harness.call(client, 7, "calc.add");
    let dispatch = harness.dispatches(worker).pop().unwrap();
    assert_eq!((dispatch.attempt, dispatch.call.number.0, dispatch.call.caller), (1, 7, 0x0202_0202));
    harness.reply(worker, &dispatch, b"\x05");
    assert_eq!(harness.replies(client), [(7, Ok(b"\x05".as_slice().into()))]);
    assert_eq!(harness.broker.status(harness.now).open, 0);
}

#[test]
fn the_least_loaded_worker_gets_the_next_call() {
    let mut harness = Harness::new();
    let (one, two) = (harness.worker(1, calc(2)), harness.worker(2, calc(4)));
    let client = harness.client(3);
    (1..=6).for_each(|number| harness.call(client, number, "calc.add"));
    assert_eq!((harness.dispatches(one).len(), harness.dispatches(two).len()), (2, 4));
}

#[test]
fn the_most_recently_used_idle_worker_gets_the_next_call() {
    let mut harness = Harness::new();
    let (one, two) = (harness.worker(1, calc(1)), harness.worker(2, calc(1)));
    let client = harness.client(3);
    harness.call(client, 1, "calc.add");
    harness.call(client, 2, "calc.add");
    let (first, second) = (harness.dispatches(one).pop().unwrap(), harness.dispatches(two).pop().unwrap());
    harness.reply(two, &second, b"\x00");
    harness.reply(one, &first, b"\x00");
    for number in 3..10 {
        harness.call(client, number, "calc.add");
        let dispatch = harness.dispatches(one).pop().expect("the most recently used worker gets the call");
        harness.reply(one, &dispatch, b"\x00");
    }
    assert!(harness.dispatches(two).is_empty(), "the other worker stays idle, so that it can be removed");
}

#[test]
fn a_worker_never_has_more_than_its_slots_and_prefetch() {
    let mut harness = Harness::new();
    let mut offer = calc(2);
    offer.prefetch = 1;
    let worker = harness.worker(1, offer);
    let client = harness.client(2);
    (1..=5).for_each(|number| harness.call(client, number, "calc.add"));
    let sent = harness.dispatches(worker);
    assert_eq!(sent.len(), 3);
    harness.reply(worker, &sent[0], b"\x00");
    assert_eq!(harness.dispatches(worker).len(), 1, "a reply frees a slot");
    harness.send(worker, Envelope::Handback(sent[1].number));
    harness.advance_with(HANDBACK_PAUSE, &[worker, client]);
    assert_eq!(harness.dispatches(worker).len(), 1, "a handback frees a slot after a pause");
}

#[test]
fn a_worker_busy_with_earlier_calls_grants_its_slots_one_by_one() {
    let mut harness = Harness::new();
    let mut offer = calc(2);
    offer.free = 0;
    let worker = harness.worker(1, offer);
    let client = harness.client(2);
    (1..=3).for_each(|number| harness.call(client, number, "calc.add"));
    assert!(harness.dispatches(worker).is_empty());
    harness.send(worker, Envelope::Credit(Credit { calls: 1, bytes: 0, offer: 0 }));
    assert_eq!(harness.dispatches(worker).len(), 1);
    harness.send(worker, Envelope::Credit(Credit { calls: 100, bytes: 0, offer: 0 }));
    assert_eq!(harness.dispatches(worker).len(), 1, "credit never exceeds the slots of the offer");
}

#[test]
fn a_draining_worker_gets_no_calls_and_may_disconnect() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(2));
    let client = harness.client(2);
    harness.call(client, 1, "calc.add");
    harness.send(worker, Envelope::Drain);
    harness.call(client, 2, "calc.add");
    let dispatch = harness.dispatches(worker).pop().unwrap();
    harness.reply(worker, &dispatch, b"\x00");
    assert!(harness.dispatches(worker).is_empty());
    harness.send(worker, Envelope::Goodbye(None));
    assert_eq!(harness.received(worker), [Envelope::Goodbye(None)]);
    let other = harness.worker(3, calc(1));
    assert_eq!(harness.dispatches(other).len(), 1, "the waiting call goes to the next worker");
}

#[test]
fn an_expired_call_never_starts() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let client = harness.client(2);
    harness.call(client, 1, "calc.add");
    let mut late = request(2, "calc.add");
    late.timeout = Some(millis(500));
    harness.send(client, Envelope::Request(late));
    let first = harness.dispatches(worker).pop().unwrap();
    harness.advance_with(seconds(1), &[worker, client]);
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed, failure.attempt), (Code::DeadlineExceeded, Executed::No, 0));
    harness.reply(worker, &first, b"\x00");
    assert!(harness.dispatches(worker).is_empty());
}

#[test]
fn queueing_time_is_subtracted_from_the_timeout_of_the_dispatch() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let client = harness.client(2);
    harness.call(client, 1, "calc.add");
    harness.call(client, 2, "calc.add");
    let first = harness.dispatches(worker).pop().unwrap();
    harness.advance_with(seconds(2), &[worker, client]);
    harness.reply(worker, &first, b"\x00");
    assert_eq!(harness.dispatches(worker)[0].timeout, Some(seconds(28)));
}

#[test]
fn an_expired_running_call_fails_is_cancelled_and_keeps_its_slot() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let client = harness.client(2);
    let mut short = request(1, "calc.pay");
    short.timeout = Some(millis(500));
    harness.send(client, Envelope::Request(short));
    let dispatch = harness.dispatches(worker).pop().unwrap();
    harness.send(worker, Envelope::Started(dispatch.number));
    harness.advance_with(seconds(1), &[worker, client]);
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::DeadlineExceeded, Executed::Yes));
    assert_eq!((failure.attempt, &*failure.worker), (1, "peer-1"));
    assert_eq!(harness.received(worker), [Envelope::Cancel(Cancel { number: dispatch.number.0, done_below: None })]);
    harness.call(client, 2, "calc.add");
    assert!(harness.dispatches(worker).is_empty(), "the slot is free only after the reply of the worker");
    harness.reply(worker, &dispatch, b"\x00");
    assert_eq!(harness.dispatches(worker).len(), 1);
    assert!(harness.replies(client).is_empty(), "the late reply is dropped");
}

#[test]
fn a_cancelled_waiting_call_never_starts_and_a_cancelled_running_call_is_stopped() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let client = harness.client(2);
    harness.call(client, 1, "calc.add");
    harness.call(client, 2, "calc.add");
    let first = harness.dispatches(worker).pop().unwrap();
    harness.send(client, Envelope::Cancel(Cancel { number: 2, done_below: None }));
    harness.send(client, Envelope::Cancel(Cancel { number: 1, done_below: None }));
    assert_eq!(harness.received(worker), [Envelope::Cancel(Cancel { number: first.number.0, done_below: None })]);
    harness.reply(worker, &first, b"\x00");
    assert!(harness.dispatches(worker).is_empty());
    assert!(harness.received(client).is_empty(), "cancelled calls have no reply");
    assert_eq!(harness.broker.status(harness.now).open, 0);
}

#[test]
fn a_full_queue_rejects_calls_with_a_retry_after_hint() {
    let mut harness = Harness::just_started(Settings { queue_calls_max: 1, ..Settings::default() });
    harness.worker(1, calc(1));
    let client = harness.client(2);
    (1..=3).for_each(|number| harness.call(client, number, "calc.add"));
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::ResourceExhausted, Executed::No));
    assert!(failure.retry_after.is_some());
}

#[test]
fn clients_share_the_workers_fairly() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let (heavy, light) = (harness.client(2), harness.client(3));
    (1..=100).for_each(|number| harness.call(heavy, number, "calc.add"));
    harness.call(light, 1, "calc.add");
    let mut served = 0;
    while harness.replies(light).is_empty() {
        let dispatch = harness.dispatches(worker).pop().unwrap();
        harness.reply(worker, &dispatch, b"\x00");
        served += 1;
    }
    assert!(served <= 20, "the light client waited for {served} calls");
}

#[test]
fn a_call_goes_only_to_workers_that_serve_its_method() {
    let mut harness = Harness::new();
    let old = harness.worker(1, calc(1));
    let mut newer = calc(1);
    newer.methods[0].name = "mul".to_owned();
    let new = harness.worker(2, newer);
    let client = harness.client(3);
    (1..=2).for_each(|number| harness.call(client, number, "calc.mul"));
    harness.call(client, 3, "calc.add");
    let (to_old, to_new) = (harness.dispatches(old), harness.dispatches(new));
    assert_eq!((to_old.len(), to_old[0].method.method()), (1, "add"));
    assert_eq!((to_new.len(), to_new[0].method.method()), (1, "mul"));
    harness.reply(new, &to_new[0], b"\x00");
    assert_eq!(harness.dispatches(new)[0].method.method(), "mul");
}

#[test]
fn the_strictest_effect_of_a_method_applies() {
    let mut harness = Harness::new();
    let strict = {
        let mut offer = calc(1);
        offer.methods[0].effect = Effect::Once;
        harness.worker(1, offer)
    };
    let client = harness.client(3);
    harness.call(client, 1, "calc.add");
    assert_eq!(harness.dispatches(strict).len(), 1);
    let lax = harness.worker(2, calc(1));
    harness.handle(Event::Closed { connection: strict });
    assert!(
        harness.dispatches(lax).is_empty(),
        "a once call is not retried, even if another worker declares the method as read"
    );
    assert_eq!(harness.failure(client).executed, Executed::Maybe);
}

#[test]
fn a_call_is_once_on_every_worker_if_any_worker_declares_once() {
    let mut harness = Harness::new();
    let mut strict = calc(1);
    strict.methods[0].effect = Effect::Once;
    let (lax, strict, client) = (harness.worker(1, calc(1)), harness.worker(2, strict), harness.client(3));
    (1..=2).for_each(|number| harness.call(client, number, "calc.add"));
    assert_eq!([lax, strict].map(|worker| harness.dispatches(worker).len()), [1, 1]);
    let other = harness.worker(4, calc(2));
    for worker in [lax, strict] {
        harness.handle(Event::Closed { connection: worker });
        assert_eq!(harness.failure(client).executed, Executed::Maybe);
    }
    assert!(harness.dispatches(other).is_empty());
}

#[test]
fn a_method_without_a_declared_effect_is_once() {
    let mut harness = Harness::new();
    let (client, worker) = (harness.client(3), harness.handshake(Endpoint::Backend, &hello(Role::Worker, 1, 1)));
    let offer = json!({ "service": "plain", "slots": 1, "free": 1, "methods": [{ "name": "do" }] });
    harness.send(worker, Envelope::Register(body::encode(&json!({ "offers": [offer] })).unwrap()));
    harness.call(client, 1, "plain.do");
    assert_eq!(harness.dispatches(worker).len(), 1);
    harness.handle(Event::Closed { connection: worker });
    let again = harness.handshake(Endpoint::Backend, &hello(Role::Worker, 2, 1));
    harness.send(again, Envelope::Register(body::encode(&json!({ "offers": [offer] })).unwrap()));
    assert!(harness.dispatches(again).is_empty(), "the call may have run");
    assert_eq!(harness.failure(client).executed, Executed::Maybe);
}

#[test]
fn messages_for_calls_of_other_workers_are_dropped_and_counted() {
    let mut harness = Harness::new();
    let (one, two) = (harness.worker(1, calc(1)), harness.worker(2, calc(1)));
    let client = harness.client(3);
    harness.call(client, 1, "calc.add");
    let (owner, other) = if harness.sent.contains_key(&one) { (one, two) } else { (two, one) };
    let dispatch = harness.dispatches(owner).pop().unwrap();
    harness.reply(other, &dispatch, b"\x66");
    harness.send(other, Envelope::Handback(dispatch.number));
    harness.send(other, Envelope::Started(DispatchNumber(999)));
    assert!(harness.replies(client).is_empty());
    assert_eq!(harness.broker.counters().stale, 3);
    harness.reply(owner, &dispatch, b"\x05");
    assert_eq!(harness.replies(client).len(), 1);
}

#[test]
fn a_cast_has_no_reply_and_its_failure_is_logged() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let client = harness.client(2);
    let mut cast = request(1, "calc.add");
    cast.flags.cast = true;
    harness.send(client, Envelope::Request(cast.clone()));
    let dispatch = harness.dispatches(worker).pop().unwrap();
    harness.reply(worker, &dispatch, b"\x00");
    (cast.number, cast.method) = (crate::wire::ids::CallNumber(2), request(1, "none.such").method);
    harness.send(client, Envelope::Request(cast));
    assert!(harness.received(client).is_empty());
    assert_eq!(harness.broker.counters().casts_failed, 1);
    assert!(
        harness.diagnostics.iter().any(|diagnostic| matches!(diagnostic, crate::broker::Diagnostic::CastFailed { .. }))
    );
}

#[test]
fn a_call_without_a_free_worker_does_not_block_the_calls_behind_it() {
    // The async and the blocking methods of a worker are two offers of one service, so this case is common.
    let mut harness = Harness::new();
    let offer = |name: &str| {
        let mut offer = calc(1);
        offer.methods.truncate(1);
        offer.methods[0].name = name.to_owned();
        offer
    };
    let (one, two) = (harness.worker(1, offer("a")), harness.worker(2, offer("b")));
    let client = harness.client(3);
    for (number, method) in [(1, "calc.a"), (2, "calc.a"), (3, "calc.b"), (4, "calc.b")] {
        harness.call(client, number, method);
    }
    harness.dispatches(one);
    let running = harness.dispatches(two).pop().unwrap();
    harness.reply(two, &running, b"\x00");
    assert_eq!(harness.dispatches(two).len(), 1, "the call behind the call that waits for the other worker runs");
}

#[test]
fn a_handed_back_call_is_not_rejected_by_a_full_queue() {
    let mut harness = Harness::just_started(Settings { queue_calls_max: 1, ..Settings::default() });
    let worker = harness.worker(1, calc(1));
    let client = harness.client(2);
    (1..=2).for_each(|number| harness.call(client, number, "calc.add"));
    let dispatch = harness.dispatches(worker).pop().unwrap();
    harness.send(worker, Envelope::Drain);
    harness.send(worker, Envelope::Handback(dispatch.number));
    assert!(harness.replies(client).is_empty());
    let other = harness.worker(3, calc(2));
    assert_eq!(harness.dispatches(other).len(), 2);
}
