//! Which worker gets a call, and which call waits.

use serde_json::json;

use super::stage::{Stage, calc, hello, millis, request, seconds};
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
fn a_call_goes_to_a_worker_and_its_reply_back() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(4));
    let client = stage.client(2);
    stage.call(client, 7, "calc.add");
    let dispatch = stage.dispatches(worker).pop().unwrap();
    assert_eq!((dispatch.attempt, dispatch.call.number.0, dispatch.call.caller), (1, 7, 0x0202_0202));
    stage.answer(worker, &dispatch, b"\x05");
    assert_eq!(stage.replies(client), [(7, Ok(b"\x05".as_slice().into()))]);
    assert_eq!(stage.broker.status(stage.now).open, 0);
}

#[test]
fn the_least_loaded_worker_is_served_first() {
    let mut stage = Stage::new();
    let (one, two) = (stage.worker(1, calc(2)), stage.worker(2, calc(4)));
    let client = stage.client(3);
    (1..=6).for_each(|number| stage.call(client, number, "calc.add"));
    assert_eq!((stage.dispatches(one).len(), stage.dispatches(two).len()), (2, 4));
}

#[test]
fn of_idle_workers_the_most_recent_one_is_served() {
    let mut stage = Stage::new();
    let (one, two) = (stage.worker(1, calc(1)), stage.worker(2, calc(1)));
    let client = stage.client(3);
    stage.call(client, 1, "calc.add");
    stage.call(client, 2, "calc.add");
    let (first, second) = (stage.dispatches(one).pop().unwrap(), stage.dispatches(two).pop().unwrap());
    stage.answer(two, &second, b"\x00");
    stage.answer(one, &first, b"\x00");
    for number in 3..10 {
        stage.call(client, number, "calc.add");
        let dispatch = stage.dispatches(one).pop().expect("the one that was idle last");
        stage.answer(one, &dispatch, b"\x00");
    }
    assert!(stage.dispatches(two).is_empty(), "the tail stays idle, so that it can leave");
}

#[test]
fn a_worker_never_has_more_than_its_slots_and_prefetch() {
    let mut stage = Stage::new();
    let mut offer = calc(2);
    offer.prefetch = 1;
    let worker = stage.worker(1, offer);
    let client = stage.client(2);
    (1..=5).for_each(|number| stage.call(client, number, "calc.add"));
    let sent = stage.dispatches(worker);
    assert_eq!(sent.len(), 3);
    stage.answer(worker, &sent[0], b"\x00");
    assert_eq!(stage.dispatches(worker).len(), 1, "a reply frees a slot");
    stage.say(worker, Envelope::Handback(sent[1].number));
    stage.pass_with(HANDBACK_PAUSE, &[worker, client]);
    assert_eq!(stage.dispatches(worker).len(), 1, "so does a handback, a moment later");
}

#[test]
fn a_worker_that_is_busy_with_old_calls_grants_its_slots_one_by_one() {
    let mut stage = Stage::new();
    let mut offer = calc(2);
    offer.free = 0;
    let worker = stage.worker(1, offer);
    let client = stage.client(2);
    (1..=3).for_each(|number| stage.call(client, number, "calc.add"));
    assert!(stage.dispatches(worker).is_empty());
    stage.say(worker, Envelope::Credit(Credit { calls: 1, bytes: 0, offer: 0 }));
    assert_eq!(stage.dispatches(worker).len(), 1);
    stage.say(worker, Envelope::Credit(Credit { calls: 100, bytes: 0, offer: 0 }));
    assert_eq!(stage.dispatches(worker).len(), 1, "never more than its slots");
}

#[test]
fn a_draining_worker_is_given_nothing_and_may_leave() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(2));
    let client = stage.client(2);
    stage.call(client, 1, "calc.add");
    stage.say(worker, Envelope::Drain);
    stage.call(client, 2, "calc.add");
    let dispatch = stage.dispatches(worker).pop().unwrap();
    stage.answer(worker, &dispatch, b"\x00");
    assert!(stage.dispatches(worker).is_empty());
    stage.say(worker, Envelope::Goodbye(None));
    assert_eq!(stage.heard(worker), [Envelope::Goodbye(None)]);
    let other = stage.worker(3, calc(1));
    assert_eq!(stage.dispatches(other).len(), 1, "what waited goes to the next");
}

#[test]
fn an_expired_call_never_starts() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let client = stage.client(2);
    stage.call(client, 1, "calc.add");
    let mut late = request(2, "calc.add");
    late.timeout = Some(millis(500));
    stage.say(client, Envelope::Request(late));
    let first = stage.dispatches(worker).pop().unwrap();
    stage.pass_with(seconds(1), &[worker, client]);
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed, failure.attempt), (Code::DeadlineExceeded, Executed::No, 0));
    stage.answer(worker, &first, b"\x00");
    assert!(stage.dispatches(worker).is_empty());
}

#[test]
fn the_time_that_a_call_waited_is_taken_off_its_deadline() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let client = stage.client(2);
    stage.call(client, 1, "calc.add");
    stage.call(client, 2, "calc.add");
    let first = stage.dispatches(worker).pop().unwrap();
    stage.pass_with(seconds(2), &[worker, client]);
    stage.answer(worker, &first, b"\x00");
    assert_eq!(stage.dispatches(worker)[0].timeout, Some(seconds(28)));
}

#[test]
fn a_running_call_that_expires_is_answered_and_cancelled_and_keeps_its_slot() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let client = stage.client(2);
    let mut short = request(1, "calc.pay");
    short.timeout = Some(millis(500));
    stage.say(client, Envelope::Request(short));
    let dispatch = stage.dispatches(worker).pop().unwrap();
    stage.say(worker, Envelope::Started(dispatch.number));
    stage.pass_with(seconds(1), &[worker, client]);
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::DeadlineExceeded, Executed::Yes));
    assert_eq!((failure.attempt, &*failure.worker), (1, "peer-1"));
    assert_eq!(stage.heard(worker), [Envelope::Cancel(Cancel { number: dispatch.number.0, done_below: None })]);
    stage.call(client, 2, "calc.add");
    assert!(stage.dispatches(worker).is_empty(), "the slot is free only at the worker's last word");
    stage.answer(worker, &dispatch, b"\x00");
    assert_eq!(stage.dispatches(worker).len(), 1);
    assert!(stage.replies(client).is_empty(), "the late reply is nobody's");
}

#[test]
fn a_cancelled_call_that_waits_never_starts_and_one_that_runs_is_stopped() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let client = stage.client(2);
    stage.call(client, 1, "calc.add");
    stage.call(client, 2, "calc.add");
    let first = stage.dispatches(worker).pop().unwrap();
    stage.say(client, Envelope::Cancel(Cancel { number: 2, done_below: None }));
    stage.say(client, Envelope::Cancel(Cancel { number: 1, done_below: None }));
    assert_eq!(stage.heard(worker), [Envelope::Cancel(Cancel { number: first.number.0, done_below: None })]);
    stage.answer(worker, &first, b"\x00");
    assert!(stage.dispatches(worker).is_empty());
    assert!(stage.heard(client).is_empty(), "nobody is answered");
    assert_eq!(stage.broker.status(stage.now).open, 0);
}

#[test]
fn a_full_queue_refuses_at_once_and_says_when_to_come_again() {
    let mut stage = Stage::young(Settings { queue_calls_max: 1, ..Settings::default() });
    stage.worker(1, calc(1));
    let client = stage.client(2);
    (1..=3).for_each(|number| stage.call(client, number, "calc.add"));
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::ResourceExhausted, Executed::No));
    assert!(failure.retry_after.is_some());
}

#[test]
fn clients_are_served_in_turn() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let (flooder, polite) = (stage.client(2), stage.client(3));
    (1..=100).for_each(|number| stage.call(flooder, number, "calc.add"));
    stage.call(polite, 1, "calc.add");
    let mut served = 0;
    while stage.replies(polite).is_empty() {
        let dispatch = stage.dispatches(worker).pop().unwrap();
        stage.answer(worker, &dispatch, b"\x00");
        served += 1;
    }
    assert!(served <= 20, "the polite client waited for {served} calls");
}

#[test]
fn a_method_is_only_sent_to_who_has_it() {
    let mut stage = Stage::new();
    let old = stage.worker(1, calc(1));
    let mut newer = calc(1);
    newer.methods[0].name = "mul".to_owned();
    let new = stage.worker(2, newer);
    let client = stage.client(3);
    (1..=2).for_each(|number| stage.call(client, number, "calc.mul"));
    stage.call(client, 3, "calc.add");
    let (to_old, to_new) = (stage.dispatches(old), stage.dispatches(new));
    assert_eq!((to_old.len(), to_old[0].method.method()), (1, "add"));
    assert_eq!((to_new.len(), to_new[0].method.method()), (1, "mul"));
    stage.answer(new, &to_new[0], b"\x00");
    assert_eq!(stage.dispatches(new)[0].method.method(), "mul");
}

#[test]
fn the_strictest_effect_counts() {
    let mut stage = Stage::new();
    let strict = {
        let mut offer = calc(1);
        offer.methods[0].effect = Effect::Once;
        stage.worker(1, offer)
    };
    let client = stage.client(3);
    stage.call(client, 1, "calc.add");
    assert_eq!(stage.dispatches(strict).len(), 1);
    let lax = stage.worker(2, calc(1));
    stage.handle(Event::Closed { connection: strict });
    assert!(stage.dispatches(lax).is_empty(), "a once call is not repeated where another says read");
    assert_eq!(stage.failure(client).executed, Executed::Maybe);
}

#[test]
fn where_workers_differ_a_call_is_once_at_whichever_it_runs() {
    let mut stage = Stage::new();
    let mut strict = calc(1);
    strict.methods[0].effect = Effect::Once;
    let (lax, strict, client) = (stage.worker(1, calc(1)), stage.worker(2, strict), stage.client(3));
    (1..=2).for_each(|number| stage.call(client, number, "calc.add"));
    assert_eq!([lax, strict].map(|worker| stage.dispatches(worker).len()), [1, 1]);
    let other = stage.worker(4, calc(2));
    for worker in [lax, strict] {
        stage.handle(Event::Closed { connection: worker });
        assert_eq!(stage.failure(client).executed, Executed::Maybe);
    }
    assert!(stage.dispatches(other).is_empty());
}

#[test]
fn a_method_whose_effect_nobody_declared_is_once() {
    let mut stage = Stage::new();
    let (client, worker) = (stage.client(3), stage.greet(Endpoint::Backend, &hello(Role::Worker, 1, 1)));
    let offer = json!({ "service": "plain", "slots": 1, "free": 1, "methods": [{ "name": "do" }] });
    stage.say(worker, Envelope::Register(body::encode(&json!({ "offers": [offer] })).unwrap()));
    stage.call(client, 1, "plain.do");
    assert_eq!(stage.dispatches(worker).len(), 1);
    stage.handle(Event::Closed { connection: worker });
    let again = stage.greet(Endpoint::Backend, &hello(Role::Worker, 2, 1));
    stage.say(again, Envelope::Register(body::encode(&json!({ "offers": [offer] })).unwrap()));
    assert!(stage.dispatches(again).is_empty(), "it may have run");
    assert_eq!(stage.failure(client).executed, Executed::Maybe);
}

#[test]
fn words_on_calls_of_others_are_dropped_and_counted() {
    let mut stage = Stage::new();
    let (one, two) = (stage.worker(1, calc(1)), stage.worker(2, calc(1)));
    let client = stage.client(3);
    stage.call(client, 1, "calc.add");
    let (owner, other) = if stage.said.contains_key(&one) { (one, two) } else { (two, one) };
    let dispatch = stage.dispatches(owner).pop().unwrap();
    stage.answer(other, &dispatch, b"\x66");
    stage.say(other, Envelope::Handback(dispatch.number));
    stage.say(other, Envelope::Started(DispatchNumber(999)));
    assert!(stage.replies(client).is_empty());
    assert_eq!(stage.broker.counters().stale, 3);
    stage.answer(owner, &dispatch, b"\x05");
    assert_eq!(stage.replies(client).len(), 1);
}

#[test]
fn a_cast_is_never_answered_and_its_failure_is_told_the_operator() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let client = stage.client(2);
    let mut cast = request(1, "calc.add");
    cast.flags.cast = true;
    stage.say(client, Envelope::Request(cast.clone()));
    let dispatch = stage.dispatches(worker).pop().unwrap();
    stage.answer(worker, &dispatch, b"\x00");
    (cast.number, cast.method) = (crate::wire::ids::CallNumber(2), request(1, "none.such").method);
    stage.say(client, Envelope::Request(cast));
    assert!(stage.heard(client).is_empty());
    assert_eq!(stage.broker.counters().casts_failed, 1);
    assert!(stage.notes.iter().any(|note| matches!(note, crate::broker::Diagnostic::CastFailed { .. })));
}

#[test]
fn a_call_that_nobody_can_take_now_hides_none_behind_it() {
    // Found by review: a worker's async and blocking methods are two offers of one service.
    let mut stage = Stage::new();
    let offer = |name: &str| {
        let mut offer = calc(1);
        offer.methods.truncate(1);
        offer.methods[0].name = name.to_owned();
        offer
    };
    let (one, two) = (stage.worker(1, offer("a")), stage.worker(2, offer("b")));
    let client = stage.client(3);
    for (number, method) in [(1, "calc.a"), (2, "calc.a"), (3, "calc.b"), (4, "calc.b")] {
        stage.call(client, number, method);
    }
    stage.dispatches(one);
    let running = stage.dispatches(two).pop().unwrap();
    stage.answer(two, &running, b"\x00");
    assert_eq!(stage.dispatches(two).len(), 1, "the call behind the one that waits for the other worker");
}

#[test]
fn a_call_that_is_handed_back_is_not_refused_for_a_full_queue() {
    let mut stage = Stage::young(Settings { queue_calls_max: 1, ..Settings::default() });
    let worker = stage.worker(1, calc(1));
    let client = stage.client(2);
    (1..=2).for_each(|number| stage.call(client, number, "calc.add"));
    let dispatch = stage.dispatches(worker).pop().unwrap();
    stage.say(worker, Envelope::Drain);
    stage.say(worker, Envelope::Handback(dispatch.number));
    assert!(stage.replies(client).is_empty());
    let other = stage.worker(3, calc(2));
    assert_eq!(stage.dispatches(other).len(), 2);
}
