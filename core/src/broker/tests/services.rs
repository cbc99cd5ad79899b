//! Services that are there, are not there yet, or are the broker's own.

use super::stage::{Stage, calc, millis, request, seconds};
use crate::{
    body,
    broker::{Event, GateStatus, ServiceStatus, Settings, Status},
    wire::{
        Envelope,
        status::{Code, Executed},
    },
};

#[test]
fn a_service_that_nobody_serves_is_refused_at_once_with_those_there_are() {
    let mut stage = Stage::new();
    stage.worker(1, calc(1));
    let client = stage.client(2);
    stage.call(client, 1, "clac.add");
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::No));
    assert!(failure.message.contains("services there are: calc"), "{failure}");
}

#[test]
fn a_method_that_nobody_has_is_refused_with_near_names() {
    let mut stage = Stage::new();
    stage.worker(1, calc(1));
    let client = stage.client(2);
    let mut wrong = request(1, "calc.ad");
    wrong.flags.wait_for_ready = true;
    stage.say(client, Envelope::Request(wrong));
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::Unimplemented, Executed::No));
    assert!(failure.message.contains("did you mean add?"), "{failure}");
}

#[test]
fn a_young_broker_waits_for_its_workers() {
    let mut stage = Stage::young(Settings::default());
    let client = stage.client(1);
    stage.call(client, 1, "calc.add");
    stage.call(client, 2, "none.such");
    stage.pass_with(seconds(1), &[client]);
    assert!(stage.replies(client).is_empty());
    let worker = stage.worker(2, calc(1));
    assert_eq!(stage.dispatches(worker).len(), 1);
    stage.pass_with(seconds(2), &[client, worker]);
    assert_eq!(stage.failure(client).code, Code::Unavailable);
}

#[test]
fn a_call_may_wait_until_a_worker_is_ready() {
    let mut stage = Stage::new();
    let client = stage.client(1);
    let mut patient = request(1, "calc.add");
    patient.flags.wait_for_ready = true;
    stage.say(client, Envelope::Request(patient));
    stage.pass_with(seconds(15), &[client]);
    assert!(stage.replies(client).is_empty());
    let worker = stage.worker(2, calc(1));
    assert_eq!(stage.dispatches(worker).len(), 1);
}

#[test]
fn a_call_that_waits_for_a_worker_expires_all_the_same() {
    let mut stage = Stage::new();
    let client = stage.client(1);
    let mut patient = request(1, "calc.add");
    patient.flags.wait_for_ready = true;
    patient.timeout = Some(millis(700));
    stage.say(client, Envelope::Request(patient));
    stage.pass_with(seconds(1), &[client]);
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::DeadlineExceeded, Executed::No));
}

#[test]
fn a_service_that_was_served_a_moment_ago_is_waited_for() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let client = stage.client(2);
    stage.handle(Event::Closed { link: worker });
    stage.call(client, 1, "calc.add");
    stage.pass_with(seconds(8), &[client]);
    assert!(stage.replies(client).is_empty());
    stage.pass_with(seconds(3), &[client]);
    assert_eq!(stage.failure(client).code, Code::Unavailable);
    stage.call(client, 2, "calc.add");
    assert_eq!(stage.failure(client).code, Code::Unavailable, "by now nobody is waited for");
}

#[test]
fn what_waited_for_its_last_worker_gives_up_in_time() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let client = stage.client(2);
    (1..=2).for_each(|number| stage.call(client, number, "calc.add"));
    stage.handle(Event::Closed { link: worker });
    stage.pass_with(seconds(11), &[client]);
    let replies = stage.replies(client);
    assert_eq!(replies.len(), 2);
    for (number, outcome) in replies {
        let failure = outcome.unwrap_err();
        assert_eq!(failure.code, Code::Unavailable);
        let executed = if number == 1 { Executed::Maybe } else { Executed::No };
        assert_eq!(failure.executed, executed, "call {number}");
    }
}

#[test]
fn the_broker_tells_of_itself() {
    let mut stage = Stage::new();
    stage.worker(1, calc(3));
    let client = stage.client(2);
    stage.call(client, 1, "callboard.ping");
    stage.call(client, 2, "callboard.services");
    stage.call(client, 3, "callboard.status");
    stage.call(client, 4, "callboard.statsu");
    let replies = stage.replies(client);
    assert_eq!(replies[0], (1, Ok(b"\xf6".as_slice().into())));
    let services: Vec<ServiceStatus> = body::decode(replies[1].1.as_ref().unwrap()).unwrap();
    assert_eq!((services[0].name.as_str(), services[0].workers, services[0].slots), ("calc", 1, 3));
    assert_eq!(services[0].methods.len(), 5);
    let status: Status = body::decode(replies[2].1.as_ref().unwrap()).unwrap();
    assert_eq!((status.clients, status.workers.len()), (1, 1));
    let failure = replies[3].1.as_ref().unwrap_err();
    assert!(failure.message.contains("did you mean status"), "{failure}");
}

#[test]
fn a_service_that_nobody_serves_or_calls_is_forgotten() {
    let mut stage = Stage::new();
    let client = stage.client(1);
    for number in 1..=50 {
        stage.call(client, number, &format!("service_{number}.method"));
    }
    stage.pass_with(seconds(11), &[client]);
    assert_eq!(stage.broker.services.len(), 0, "names cost memory for a while only");
}

#[test]
fn the_broker_tells_of_its_gate_what_its_driver_last_said() {
    let mut stage = Stage::new();
    let client = stage.client(1);
    let status = GateStatus { connections: 7, closed: [("flags".to_owned(), 3)].into(), ..GateStatus::default() };
    stage.handle(Event::Gate(Box::new(status.clone())));
    stage.call(client, 1, "callboard.gate");
    let replies = stage.replies(client);
    assert_eq!(body::decode::<GateStatus>(replies[0].1.as_ref().unwrap()), Ok(status));
}
