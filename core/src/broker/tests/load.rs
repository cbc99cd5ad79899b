//! What a pool learns of its own load.

use super::stage::{Stage, calc, hello, millis, request, session};
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
fn of_pool(stage: &mut Stage, number: u8, slots: u32) -> ConnectionId {
    let hello = Hello { pool: Some("jobs".into()), session: session(number), ..hello(Role::Worker, number, 1) };
    let connection = stage.greet(Endpoint::Backend, &hello);
    stage.register(connection, Register { offers: vec![calc(slots)], exclusive: false });
    connection
}

fn worker(number: u8, running: u64, answered: u64, failed: u64) -> WorkerLoad {
    let (name, heartbeat_ms) = (format!("peer-{number}"), 1_000);
    WorkerLoad { name, draining: false, stuck: false, running, answered, failed, heartbeat_ms }
}

#[test]
fn a_pool_is_told_of_its_own_workers_and_of_what_waits_for_them() {
    let mut stage = Stage::new();
    let workers = [of_pool(&mut stage, 1, 1), of_pool(&mut stage, 2, 1)];
    stage.worker(3, calc(1));
    let client = stage.client(4);
    (1..=3).for_each(|number| stage.call(client, number, "calc.add"));
    (4..=5).for_each(|number| stage.call(client, number, "calc.pay"));
    stage.pass_with(millis(400), &[client, workers[0], workers[1]]);
    stage.call(client, 6, "calc.add");
    let load = stage.broker.load(stage.now, "jobs");
    assert_eq!(load.workers, [worker(1, 1, 0, 0), worker(2, 1, 0, 0)]);
    let offer = OfferLoad { service: "calc".into(), slots: 2, running: 2, waiting: 3, oldest_wait_ms: 400 };
    assert_eq!(load.offers, [offer]);
    assert_eq!(stage.broker.load(stage.now, "others"), Load::default());
}

#[test]
fn a_pool_does_not_grow_for_calls_that_more_workers_could_not_run() {
    let mut stage = Stage::new();
    let worker = of_pool(&mut stage, 1, 2);
    let mut offer = calc(2);
    offer.methods[0].limits.concurrency = Some(1);
    stage.register(worker, Register { offers: vec![offer], exclusive: false });
    let client = stage.client(4);
    (1..=4).for_each(|number| stage.call(client, number, "calc.add"));
    let offer = &stage.broker.load(stage.now, "jobs").offers[0];
    assert_eq!((offer.running, offer.waiting), (1, 0));
    let flags = RequestFlags { broadcast: true, ..RequestFlags::default() };
    (5..=6).for_each(|number| stage.say(client, Envelope::Request(Request { flags, ..request(number, "calc.push") })));
    let offer = &stage.broker.load(stage.now, "jobs").offers[0];
    assert_eq!((offer.running, offer.waiting), (2, 0), "a part of a broadcast waits for its own worker");
}

#[test]
fn a_worker_that_drains_is_no_room_any_more_and_what_it_answered_is_counted() {
    let mut stage = Stage::new();
    let connection = of_pool(&mut stage, 1, 2);
    let client = stage.client(4);
    (1..=2).for_each(|number| stage.call(client, number, "calc.add"));
    let dispatches = stage.dispatches(connection);
    stage.answer(connection, &dispatches[0], &[0x05]);
    stage.say(connection, Envelope::Drain);
    let load = stage.broker.load(stage.now, "jobs");
    assert_eq!(load.workers, [WorkerLoad { draining: true, ..worker(1, 1, 1, 0) }]);
    assert_eq!(load.offers, []);
}

#[test]
fn the_pool_is_named_by_the_argument() {
    let mut stage = Stage::new();
    of_pool(&mut stage, 1, 1);
    let client = stage.client(2);
    let mut asked = request(1, "callboard.load");
    asked.body = body::encode(&("jobs",)).unwrap();
    stage.say(client, Envelope::Request(asked));
    let body = stage.replies(client).remove(0).1.unwrap();
    assert_eq!(body::decode::<Load>(&body).unwrap().workers, [worker(1, 0, 0, 0)]);
    stage.call(client, 2, "callboard.load");
    let failure = stage.failure(client);
    assert_eq!(failure.code, Code::InvalidArgument);
    assert!(failure.message.contains("pool"), "{failure}");
}
