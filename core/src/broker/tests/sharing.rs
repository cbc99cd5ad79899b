//! Who shares the broker: what may wait in all, what is remembered in all, and whose turn it is.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::stage::{Stage, calc, hello, millis, request, seconds};
use crate::{
    broker::{Diagnostic, Endpoint, Event, Settings},
    wire::{
        Envelope,
        envelope::{Cancel, Dispatch, Priority, Request},
        handshake::Role,
        ids::ConnectionId,
        limits::TENANT_SHARE,
        status::{Code, Executed},
    },
};

/// A call that waits for a worker as long as it takes.
fn patient(number: u64, cast: bool, bytes: usize) -> Request {
    let mut request = Request { timeout: None, body: Bytes::from(vec![0x40; bytes]), ..request(number, "calc.add") };
    request.flags.wait_for_ready = true;
    request.flags.cast = cast;
    request
}

fn limited(calls: usize, bytes: usize) -> Stage {
    Stage::young(Settings { waiting_calls_max: calls, waiting_bytes_max: bytes, ..Settings::default() })
}

fn waiting(stage: &Stage) -> usize {
    stage.broker.status(stage.now).services.iter().map(|service| service.waiting).sum()
}

#[test]
fn casts_that_outlive_their_connections_end_at_the_limit_of_their_party() {
    let mut stage = limited(10 * TENANT_SHARE, 1 << 30);
    for connection_number in 1..=4 {
        let connection = stage.client_again(1, connection_number);
        let first = connection_number * 5;
        (first..first + 5).for_each(|number| stage.say(connection, Envelope::Request(patient(number, true, 1))));
        stage.handle(Event::Closed { connection });
        stage.pass(seconds(3));
    }
    assert_eq!(waiting(&stage), 10, "each life of the client had fresh credit");
    assert_eq!(stage.broker.counters().casts_failed, 10);
    let failed = |note: &&Diagnostic| matches!(note, Diagnostic::CastFailed { failure, .. } if failure.code == Code::ResourceExhausted);
    assert_eq!(stage.notes.iter().filter(failed).count(), 10, "and the operator is told of each");
}

#[test]
fn a_party_has_its_part_however_many_sessions_it_has_and_others_have_theirs() {
    let mut stage = limited(2 * TENANT_SHARE, 1 << 30);
    let (one, two) = (stage.client(1), stage.client(2));
    stage.origin = "192.0.2.8";
    let other = stage.client(3);
    stage.say(one, Envelope::Request(patient(1, false, 1)));
    stage.say(two, Envelope::Request(patient(1, false, 1)));
    assert!(stage.replies(two).is_empty());
    stage.say(two, Envelope::Request(patient(2, false, 1)));
    let failure = stage.failure(two);
    assert_eq!((failure.code, failure.executed), (Code::ResourceExhausted, Executed::No));
    assert!(failure.message.contains("2 calls with 2 bytes wait of 192.0.2.7"), "{failure}");
    assert!(failure.retry_after.is_some());
    stage.say(other, Envelope::Request(patient(1, false, 1)));
    assert!(stage.replies(other).is_empty());
}

#[test]
fn bytes_that_wait_are_bounded_for_a_party_and_in_all() {
    let mut stage = limited(1_000, 100 * TENANT_SHARE);
    let mut clients = Vec::new();
    for (number, origin) in (1..).zip(["a", "b", "c", "d", "e"]) {
        stage.origin = origin;
        clients.push(stage.client(number));
    }
    stage.say(clients[0], Envelope::Request(patient(1, false, 100)));
    stage.say(clients[0], Envelope::Request(patient(2, false, 1)));
    assert!(stage.failure(clients[0]).message.contains("100 bytes wait of a"));
    clients[1..4].iter().for_each(|&connection| stage.say(connection, Envelope::Request(patient(1, false, 100))));
    stage.say(clients[4], Envelope::Request(patient(1, false, 1)));
    let failure = stage.failure(clients[4]);
    assert!(failure.message.contains("400 bytes wait at this broker"), "{failure}");
    stage.say(clients[0], Envelope::Cancel(crate::wire::envelope::Cancel { number: 1, done_below: None }));
    stage.say(clients[4], Envelope::Request(patient(2, false, 1)));
    assert!(stage.replies(clients[4]).is_empty(), "what waits no more makes room");
}

#[test]
fn a_call_that_was_at_a_worker_waits_again_whatever_the_limit() {
    let mut stage = limited(TENANT_SHARE, 1 << 30);
    let (worker, client) = (stage.worker(1, calc(1)), stage.client(2));
    stage.call(client, 1, "calc.add");
    stage.call(client, 2, "calc.add");
    stage.handle(Event::Closed { connection: worker });
    assert!(stage.replies(client).is_empty());
    assert_eq!(waiting(&stage), 2);
}

#[test]
fn what_is_remembered_for_all_is_bounded_and_those_who_left_are_forgotten_first() {
    let mut stage = Stage::young(Settings { outcomes_bytes_max: 8 * 1_256, ..Settings::default() });
    let worker = stage.worker(1, calc(64));
    let (here, left) = (stage.client(2), stage.client(3));
    let answer = |stage: &mut Stage, client: ConnectionId, number| {
        stage.call(client, number, "calc.add");
        let dispatch: Dispatch = stage.dispatches(worker).remove(0);
        stage.answer(worker, &dispatch, &[0x40; 1_000]);
    };
    (1..=4).for_each(|number| answer(&mut stage, here, number));
    (1..=4).for_each(|number| answer(&mut stage, left, number));
    assert_eq!(stage.broker.cached_replies(), 8);
    stage.handle(Event::Closed { connection: left });
    answer(&mut stage, here, 5);
    assert_eq!(stage.broker.cached_replies(), 7);
    stage.heard(here);
    (1..=5).for_each(|number| stage.call(here, number, "calc.add"));
    assert_eq!(stage.replies(here).len(), 5, "the client that is there lost none, though it came first");
}

#[test]
fn who_has_waited_too_long_has_no_more_calls_taken_and_is_told_when_to_try_again() {
    let mut stage = Stage::young(Settings { queue_age_max: Some(seconds(2)), ..Settings::default() });
    let (worker, client) = (stage.worker(1, calc(1)), stage.client(2));
    stage.origin = "192.0.2.8";
    let other = stage.client(3);
    let connections = [worker, client, other];
    (1..=3).for_each(|number| stage.call(client, number, "calc.add"));
    stage.pass_with(seconds(2), &connections);
    stage.call(client, 4, "calc.add");
    assert!(stage.replies(client).is_empty(), "that is just the limit");
    stage.pass_with(millis(200), &connections);
    stage.call(client, 5, "calc.add");
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::ResourceExhausted, Executed::No));
    assert!(failure.message.contains("your calls to calc have waited for 2200 ms"), "{failure}");
    assert!(failure.retry_after.is_some() && failure.to_string().contains("try again in"), "{failure}");
    stage.call(other, 1, "calc.add");
    assert!(stage.replies(other).is_empty(), "who did not make others wait is not refused");
    for _ in 0..3 {
        let dispatch = stage.dispatches(worker).remove(0);
        stage.answer(worker, &dispatch, &[0]);
    }
    stage.heard(client);
    stage.call(client, 6, "calc.add");
    assert!(stage.replies(client).is_empty(), "what waited so long is served");
}

#[test]
fn what_waits_for_a_worker_to_come_is_not_too_old() {
    let mut stage = Stage::young(Settings { queue_age_max: Some(seconds(2)), ..Settings::default() });
    let client = stage.client(2);
    stage.say(client, Envelope::Request(patient(1, false, 1)));
    stage.pass_with(seconds(60), &[client]);
    stage.say(client, Envelope::Request(patient(2, false, 1)));
    stage.say(client, Envelope::Request(patient(3, false, 1)));
    stage.pass_with(seconds(60), &[client]);
    assert!(stage.replies(client).is_empty());
    stage.worker(3, calc(1));
    assert!(stage.replies(client).is_empty(), "and when it has come, those that it finds were let in before");
    assert_eq!(waiting(&stage), 2);
}

#[test]
fn what_waits_since_its_last_worker_left_is_not_too_old() {
    let mut stage = Stage::young(Settings { queue_age_max: Some(seconds(2)), ..Settings::default() });
    let (worker, client) = (stage.worker(1, calc(1)), stage.client(2));
    (1..=2).for_each(|number| stage.say(client, Envelope::Request(patient(number, false, 1))));
    stage.handle(Event::Closed { connection: worker });
    stage.pass_with(seconds(60), &[client]);
    stage.say(client, Envelope::Request(patient(3, false, 1)));
    assert_eq!(stage.replies(client), []);
    assert_eq!(waiting(&stage), 3);
}

#[test]
fn sessions_of_one_address_have_one_turn_together() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let crowd: Vec<_> = (10..40).map(|number| stage.client(number)).collect();
    stage.origin = "192.0.2.8";
    let polite = stage.greet(Endpoint::Frontend, &hello(Role::Client, 2, 1));
    stage.call(polite, 1, "calc.add");
    let mut dispatch = stage.dispatches(worker).remove(0);
    for number in 1..=4 {
        crowd.iter().for_each(|&connection| stage.call(connection, number, "calc.add"));
    }
    (2..=11).for_each(|number| stage.call(polite, number, "calc.add"));
    let mut order = Vec::new();
    for _ in 0..50 {
        stage.answer(worker, &dispatch, &[0]);
        dispatch = stage.dispatches(worker).remove(0);
        order.push(dispatch.call.caller);
    }
    let last = order.iter().rposition(|&caller| caller == 0x0202_0202).unwrap();
    assert!((19..=22).contains(&last), "ten calls had every other turn, and the last was in place {last}");
    let others: BTreeSet<_> = order[..last].iter().collect();
    assert!(others.len() >= 6, "the crowd takes turns among itself");
}

#[test]
fn an_urgent_call_overtakes_others_of_its_party_and_nobody_elses() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(1)), stage.client(2));
    stage.call(client, 1, "calc.add");
    let mut dispatch = stage.dispatches(worker).remove(0);
    let with = |number, priority| Envelope::Request(Request { priority, ..request(number, "calc.add") });
    (2..30).for_each(|number| stage.say(client, with(number, Priority::Low)));
    (101..=103).for_each(|number| stage.say(client, with(number, Priority::High)));
    let mut order = Vec::new();
    for _ in 0..12 {
        stage.answer(worker, &dispatch, &[0]);
        dispatch = stage.dispatches(worker).remove(0);
        order.push(dispatch.call.number.0);
    }
    let last = order.iter().position(|&number| number == 103).unwrap();
    assert!(last <= 4, "{order:?}");
    assert!(order.iter().filter(|&&number| number < 30).count() >= 8, "the others go on: {order:?}");
}

#[test]
fn lost_clients_that_may_return_are_bounded_and_those_with_nothing_to_return_to_go_first() {
    let mut stage = Stage::young(Settings { disconnected_clients_max: 8, ..Settings::default() });
    let (worker, watcher) = (stage.worker(1, calc(16)), stage.client(2));
    let leave = |stage: &mut Stage, number: u8, calls: bool| {
        let connection = stage.client(number);
        if calls {
            stage.call(connection, 1, "calc.add");
        }
        stage.now = stage.now + millis(1);
        stage.handle(Event::Closed { connection });
    };
    // Of one party two: of these the one that has a call, and the last.
    [(10, true), (11, false), (12, false), (13, false)]
        .into_iter()
        .for_each(|(number, calls)| leave(&mut stage, number, calls));
    let away = |stage: &Stage| stage.broker.status(stage.now).clients - 1;
    assert_eq!((away(&stage), stage.broker.status(stage.now).open), (2, 1));
    leave(&mut stage, 14, true);
    assert_eq!((away(&stage), stage.broker.status(stage.now).open), (2, 2));
    // Where all have something, who is gone longest goes, with its calls.
    let running = stage.dispatches(worker);
    leave(&mut stage, 15, true);
    let cancel = Envelope::Cancel(Cancel { number: running[0].number.0, done_below: None });
    assert!(away(&stage) == 2 && stage.heard(worker).contains(&cancel));
    // In all eight, and who comes back is away no more.
    for (party, number) in ["a", "b", "c", "d"].into_iter().zip((20..).step_by(2)) {
        stage.origin = party;
        [number, number + 1].into_iter().for_each(|number| leave(&mut stage, number, true));
    }
    assert_eq!(away(&stage), 8);
    stage.client_again(27, 2);
    stage.client_again(26, 2);
    assert_eq!(away(&stage), 8);
    leave(&mut stage, 28, true);
    assert_eq!(away(&stage), 9, "two of them are here");
    assert!(stage.replies(watcher).is_empty());
}
