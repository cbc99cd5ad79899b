//! The load that the broker reports to a pool.

use super::harness::{Harness, calc, hello, millis, request, session};
use crate::{
    body,
    broker::{Endpoint, Load, OfferLoad, WorkerLoad},
    wire::{
        Envelope,
        envelope::{Request, RequestFlags},
        handshake::{Hello, Register, Role},
        ids::ConnectionId,
        status::Code,
    },
};

/// A worker of the pool `jobs`.
fn pool_worker(harness: &mut Harness, number: u8, slots: u32) -> ConnectionId {
    let hello = Hello { pool: Some("jobs".into()), session: session(number), ..hello(Role::Worker, number, 1) };
    let connection = harness.handshake(Endpoint::Backend, &hello);
    harness.register(connection, Register { offers: vec![calc(slots)], ..Register::default() });
    connection
}

fn worker(number: u8, running: u64, answered: u64, failed: u64) -> WorkerLoad {
    let (name, heartbeat_ms) = (format!("peer-{number}"), 1_000);
    WorkerLoad { name, draining: false, stuck: false, running, answered, failed, heartbeat_ms }
}

#[test]
fn the_load_of_a_pool_lists_its_workers_and_their_backlog() {
    let mut harness = Harness::new();
    let workers = [pool_worker(&mut harness, 1, 1), pool_worker(&mut harness, 2, 1)];
    harness.worker(3, calc(1));
    let client = harness.client(4);
    (1..=3).for_each(|number| harness.call(client, number, "calc.add"));
    (4..=5).for_each(|number| harness.call(client, number, "calc.pay"));
    harness.advance_with(millis(400), &[client, workers[0], workers[1]]);
    harness.call(client, 6, "calc.add");
    let load = harness.broker.load(harness.now, "jobs");
    assert_eq!(load.workers, [worker(1, 1, 0, 0), worker(2, 1, 0, 0)]);
    let offer = OfferLoad { service: "calc".into(), slots: 2, running: 2, waiting: 3, oldest_wait_ms: 400 };
    assert_eq!(load.offers, [offer]);
    assert_eq!(harness.broker.load(harness.now, "others"), Load::default());
}

#[test]
fn calls_that_more_workers_could_not_run_are_not_counted_as_backlog() {
    let mut harness = Harness::new();
    let worker = pool_worker(&mut harness, 1, 2);
    let mut offer = calc(2);
    offer.methods[0].limits.concurrency = Some(1);
    harness.register(worker, Register { offers: vec![offer], ..Register::default() });
    let client = harness.client(4);
    (1..=4).for_each(|number| harness.call(client, number, "calc.add"));
    let offer = &harness.broker.load(harness.now, "jobs").offers[0];
    assert_eq!((offer.running, offer.waiting), (1, 0));
    let flags = RequestFlags { broadcast: true, ..RequestFlags::default() };
    (5..=6)
        .for_each(|number| harness.send(client, Envelope::Request(Request { flags, ..request(number, "calc.push") })));
    let offer = &harness.broker.load(harness.now, "jobs").offers[0];
    assert_eq!((offer.running, offer.waiting), (2, 0), "a subcall of a broadcast waits for its own worker");
}

#[test]
fn a_draining_worker_has_no_capacity_and_its_replies_are_counted() {
    let mut harness = Harness::new();
    let connection = pool_worker(&mut harness, 1, 2);
    let client = harness.client(4);
    (1..=2).for_each(|number| harness.call(client, number, "calc.add"));
    let dispatches = harness.dispatches(connection);
    harness.reply(connection, &dispatches[0], &[0x05]);
    harness.send(connection, Envelope::Drain);
    let load = harness.broker.load(harness.now, "jobs");
    assert_eq!(load.workers, [WorkerLoad { draining: true, ..worker(1, 1, 1, 0) }]);
    assert_eq!(load.offers, []);
}

#[test]
fn the_load_method_takes_the_pool_as_its_argument() {
    let mut harness = Harness::new();
    pool_worker(&mut harness, 1, 1);
    let client = harness.client(2);
    let mut load_request = request(1, "callboard.load");
    load_request.body = body::encode(&("jobs",)).unwrap();
    harness.send(client, Envelope::Request(load_request));
    let body = harness.replies(client).remove(0).1.unwrap();
    assert_eq!(body::decode::<Load>(&body).unwrap().workers, [worker(1, 0, 0, 0)]);
    harness.call(client, 2, "callboard.load");
    let failure = harness.failure(client);
    assert_eq!(failure.code, Code::InvalidArgument);
    assert!(failure.message.contains("pool"), "{failure}");
}
