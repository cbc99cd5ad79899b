//! `callboard.why`: the reason why a call waits, and its place in the queue.

use super::harness::{Harness, calc, request, seconds};
use crate::{
    body,
    broker::WaitReason,
    wire::{
        Envelope,
        envelope::Request,
        ids::{CallNumber, ConnectionId},
        limits::ADMIN_RESULT_AGE_MAX,
        status::Failure,
    },
};

fn why(harness: &mut Harness, client: ConnectionId, number: u64, call: &str) -> Result<WaitReason, Box<Failure>> {
    let body = body::encode(&(call,)).unwrap();
    harness.send(client, Envelope::Request(Request { body, ..request(number, "callboard.why") }));
    harness
        .replies(client)
        .pop()
        .unwrap()
        .1
        .map_err(Box::new)
        .map(|body| body::decode::<Vec<WaitReason>>(&body).unwrap().remove(0))
}

#[test]
fn why_lists_the_busy_slots_and_the_calls_ahead() {
    let mut harness = Harness::new();
    let (worker, one, two) = (harness.worker(1, calc(1)), harness.client(2), harness.client(3));
    harness.call(one, 1, "calc.add");
    let dispatch = harness.dispatches(worker).pop().unwrap();
    harness.advance_with(seconds(2), &[worker, one, two]);
    harness.reply(worker, &dispatch, b"\x00");
    (2..=4).for_each(|number| harness.call(one, number, "calc.add"));
    harness.call(two, 1, "calc.add");
    let wait = why(&mut harness, two, 100, "03030303-1").unwrap();
    assert_eq!((wait.state.as_str(), wait.ahead), ("waiting", 1), "{wait:?}");
    assert_eq!((wait.busy[0].call.as_str(), wait.busy[0].worker.as_str()), ("02020202-2", "peer-1"));
    assert_eq!(wait.behind[0].client, "peer-2");
    assert_eq!(wait.estimate_ms, Some(4_000), "two calls of two seconds each");
    assert!(wait.reason.contains("all 1 slots of calc are busy"), "{}", wait.reason);
}

#[test]
fn why_names_the_worker_of_a_running_call_and_its_start() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(1)), harness.client(2));
    harness.call(client, 1, "calc.add");
    let dispatch = harness.dispatches(worker).pop().unwrap();
    harness.send(worker, Envelope::Started(dispatch.number));
    harness.advance_with(seconds(3), &[worker, client]);
    let wait = why(&mut harness, client, 100, "02020202-1").unwrap();
    assert_eq!((wait.state.as_str(), wait.worker.as_str(), wait.since_ms), ("running", "peer-1", 3_000));
    assert!(wait.reason.contains("its handler has started"), "{}", wait.reason);
}

#[test]
fn why_reports_a_service_without_workers() {
    let mut harness = Harness::new();
    let client = harness.client(2);
    let mut waiting = request(1, "calc.add");
    waiting.flags.wait_for_ready = true;
    harness.send(client, Envelope::Request(waiting));
    let wait = why(&mut harness, client, 100, "02020202-1").unwrap();
    assert!(wait.reason.contains("no worker serves calc"), "{}", wait.reason);
}

#[test]
fn why_reports_the_outcome_of_a_closed_call() {
    let mut harness = Harness::new();
    let client = harness.client(2);
    harness.call(client, 1, "calc.add");
    harness.replies(client);
    assert!(why(&mut harness, client, 100, "02020202-1").unwrap_err().message.contains("it failed with UNAVAILABLE"));
    assert!(why(&mut harness, client, 101, "nonsense").is_err());
}

#[test]
fn why_names_a_few_of_the_calls_ahead_and_counts_the_rest() {
    let mut harness = Harness::new();
    let (_worker, first) = (harness.worker(1, calc(1)), harness.client(2));
    harness.call(first, 1, "calc.add");
    for number in 3..=15 {
        let connection = harness.client(number);
        harness.call(connection, 1, "calc.add");
        harness.call(connection, 2, "calc.add");
    }
    let wait = why(&mut harness, first, 100, "0f0f0f0f-2").unwrap();
    assert_eq!((wait.ahead, wait.behind.len(), wait.behind_others), (25, 8, 5), "{wait:?}");
}

#[test]
fn why_returns_a_cached_reply_until_it_is_old() {
    let mut harness = Harness::new();
    let client = harness.client(2);
    let mut waiting = request(1, "calc.add");
    waiting.flags.wait_for_ready = true;
    let ask = |harness: &mut Harness, number| {
        harness.call(client, number, "callboard.why");
        let answer = harness.replies(client).pop().unwrap().1.unwrap();
        body::decode::<Vec<WaitReason>>(&answer).unwrap().len()
    };
    assert_eq!(ask(&mut harness, 2), 0);
    harness.send(client, Envelope::Request(Request { number: CallNumber(3), ..waiting }));
    assert_eq!(ask(&mut harness, 4), 0);
    harness.now = harness.now + ADMIN_RESULT_AGE_MAX;
    assert_eq!(ask(&mut harness, 5), 1);
}
