//! What a call waits for, by the broker's own word.

use super::stage::{Stage, calc, request, seconds};
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

fn why(stage: &mut Stage, client: ConnectionId, number: u64, call: &str) -> Result<WaitReason, Box<Failure>> {
    let body = body::encode(&(call,)).unwrap();
    stage.say(client, Envelope::Request(Request { body, ..request(number, "callboard.why") }));
    stage
        .replies(client)
        .pop()
        .unwrap()
        .1
        .map_err(Box::new)
        .map(|body| body::decode::<Vec<WaitReason>>(&body).unwrap().remove(0))
}

#[test]
fn a_call_that_waits_for_slots_is_told_who_has_them_and_who_is_before_it() {
    let mut stage = Stage::new();
    let (worker, one, two) = (stage.worker(1, calc(1)), stage.client(2), stage.client(3));
    stage.call(one, 1, "calc.add");
    let dispatch = stage.dispatches(worker).pop().unwrap();
    stage.pass_with(seconds(2), &[worker, one, two]);
    stage.answer(worker, &dispatch, b"\x00");
    (2..=4).for_each(|number| stage.call(one, number, "calc.add"));
    stage.call(two, 1, "calc.add");
    let told = why(&mut stage, two, 100, "03030303-1").unwrap();
    assert_eq!((told.state.as_str(), told.ahead), ("waiting", 1), "{told:?}");
    assert_eq!((told.busy[0].call.as_str(), told.busy[0].worker.as_str()), ("02020202-2", "peer-1"));
    assert_eq!(told.behind[0].client, "peer-2");
    assert_eq!(told.estimate_ms, Some(4_000), "two turns of two seconds");
    assert!(told.reason.contains("all 1 slots of calc are busy"), "{}", told.reason);
}

#[test]
fn a_call_that_runs_is_told_where_and_since_when() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(1)), stage.client(2));
    stage.call(client, 1, "calc.add");
    let dispatch = stage.dispatches(worker).pop().unwrap();
    stage.say(worker, Envelope::Started(dispatch.number));
    stage.pass_with(seconds(3), &[worker, client]);
    let told = why(&mut stage, client, 100, "02020202-1").unwrap();
    assert_eq!((told.state.as_str(), told.worker.as_str(), told.since_ms), ("running", "peer-1", 3_000));
    assert!(told.reason.contains("its handler has started"), "{}", told.reason);
}

#[test]
fn a_call_that_nobody_serves_is_told_what_it_waits_for() {
    let mut stage = Stage::new();
    let client = stage.client(2);
    let mut patient = request(1, "calc.add");
    patient.flags.wait_for_ready = true;
    stage.say(client, Envelope::Request(patient));
    let told = why(&mut stage, client, 100, "02020202-1").unwrap();
    assert!(told.reason.contains("no worker serves calc"), "{}", told.reason);
}

#[test]
fn a_call_that_is_not_open_is_told_what_became_of_it() {
    let mut stage = Stage::new();
    let client = stage.client(2);
    stage.call(client, 1, "calc.add");
    stage.replies(client);
    assert!(why(&mut stage, client, 100, "02020202-1").unwrap_err().message.contains("it failed with UNAVAILABLE"));
    assert!(why(&mut stage, client, 101, "nonsense").is_err());
}

#[test]
fn of_many_who_are_before_a_call_a_few_are_named_and_the_others_counted() {
    let mut stage = Stage::new();
    let (_worker, first) = (stage.worker(1, calc(1)), stage.client(2));
    stage.call(first, 1, "calc.add");
    for number in 3..=15 {
        let connection = stage.client(number);
        stage.call(connection, 1, "calc.add");
        stage.call(connection, 2, "calc.add");
    }
    let told = why(&mut stage, first, 100, "0f0f0f0f-2").unwrap();
    assert_eq!((told.ahead, told.behind.len(), told.behind_others), (25, 8, 5), "{told:?}");
}

#[test]
fn who_asks_for_all_open_calls_without_end_is_given_the_same_answer_until_it_is_old() {
    let mut stage = Stage::new();
    let client = stage.client(2);
    let mut patient = request(1, "calc.add");
    patient.flags.wait_for_ready = true;
    let ask = |stage: &mut Stage, number| {
        stage.call(client, number, "callboard.why");
        let answer = stage.replies(client).pop().unwrap().1.unwrap();
        body::decode::<Vec<WaitReason>>(&answer).unwrap().len()
    };
    assert_eq!(ask(&mut stage, 2), 0);
    stage.say(client, Envelope::Request(Request { number: CallNumber(3), ..patient }));
    assert_eq!(ask(&mut stage, 4), 0);
    stage.now = stage.now + ADMIN_RESULT_AGE_MAX;
    assert_eq!(ask(&mut stage, 5), 1);
}
