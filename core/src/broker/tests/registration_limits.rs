//! The memory that registrations may take.

use std::time::Duration;

use bytes::Bytes;

use super::harness::{Harness, calc, hello, millis, seconds};
use crate::{
    broker::Endpoint,
    wire::{
        envelope::Effect,
        handshake::{ContractOffer, MethodLimits, MethodOffer, Offer, Register, Role},
        ids::ConnectionId,
        limits::{
            DESCRIPTION_BYTES_MAX, METHODS_MAX, OFFERS_MAX, REGISTRATION_BYTES_MAX, REGISTRATIONS_BYTES_MAX,
            SERVICE_GRACE,
        },
        status::{Code, Failure},
        streams::Style,
    },
};

fn method(name: String) -> MethodOffer {
    MethodOffer {
        name,
        effect: Effect::Once,
        arguments: Vec::new(),
        style: Style::Unary,
        limits: MethodLimits::default(),
    }
}

/// An offer of a service with so many methods.
fn offer(service: &str, methods: usize) -> Offer {
    let methods = (0..methods).map(|number| method(format!("method_{number}"))).collect();
    Offer { service: service.to_owned(), methods, ..calc(1) }
}

/// An offer of a service with the largest description, which differs from those of other numbers.
fn described(number: usize) -> Offer {
    let description = Some(Bytes::from(vec![7; DESCRIPTION_BYTES_MAX]));
    let contract = Some(ContractOffer { hash: format!("{number:016x}").parse().unwrap(), description });
    Offer { contract, ..offer(&format!("described_{number}"), 1) }
}

fn register(harness: &mut Harness, number: u8, offers: Vec<Offer>) -> ConnectionId {
    let worker = harness.handshake(Endpoint::Backend, &hello(Role::Worker, number, 1));
    harness.register(worker, Register { offers, ..Register::default() });
    worker
}

fn registered_bytes(harness: &Harness) -> usize {
    harness.broker.status(harness.now).registered_bytes
}

/// Lets a worker leave, and the time pass until its services are forgotten.
fn leave(harness: &mut Harness, worker: ConnectionId, alive: &[ConnectionId]) {
    harness.handle(crate::broker::Event::Closed { connection: worker });
    harness.advance_with(SERVICE_GRACE + millis(200), alive);
}

fn rejection(harness: &mut Harness, worker: ConnectionId) -> Failure {
    harness.disconnect_reason(worker)
}

#[test]
fn one_worker_cannot_register_all_that_the_other_limits_allow() {
    let mut harness = Harness::new();
    let offers = (0..OFFERS_MAX).map(|number| offer(&format!("service_{number}"), METHODS_MAX)).collect();
    let worker = register(&mut harness, 1, offers);
    let failure = rejection(&mut harness, worker);
    assert_eq!(failure.code, Code::InvalidArgument);
    let limit = format!("one worker may take {REGISTRATION_BYTES_MAX}");
    assert!(failure.message.contains(&limit), "{}", failure.message);
    assert_eq!(registered_bytes(&harness), 0);
}

#[test]
fn descriptions_count_like_names() {
    let mut harness = Harness::new();
    let worker = register(&mut harness, 1, (0..60).map(described).collect());
    assert!(harness.closed.is_empty());
    assert!(registered_bytes(&harness) > 60 * DESCRIPTION_BYTES_MAX);
    harness.register(worker, Register { offers: (0..64).map(described).collect(), ..Register::default() });
    assert_eq!(rejection(&mut harness, worker).code, Code::InvalidArgument);
}

#[test]
fn the_registrations_of_all_workers_are_bounded_and_the_memory_is_given_back() {
    let mut harness = Harness::new();
    let mut workers = Vec::new();
    let rejected = loop {
        let number = u8::try_from(workers.len() + 1).unwrap();
        let first = 100 * workers.len();
        let worker = register(&mut harness, number, (first..first + 60).map(described).collect());
        if harness.closed.contains(&worker) {
            break worker;
        }
        workers.push(worker);
    };
    let failure = rejection(&mut harness, rejected);
    assert_eq!(failure.code, Code::ResourceExhausted);
    let limit = format!("all together may take {REGISTRATIONS_BYTES_MAX}");
    assert!(failure.message.contains(&limit), "{}", failure.message);
    assert!((10..40).contains(&workers.len()), "{}", workers.len());
    assert!(registered_bytes(&harness) > REGISTRATIONS_BYTES_MAX / 2);
    let left = workers.split_off(1);
    let kept = workers[0];
    left.into_iter().for_each(|worker| harness.handle(crate::broker::Event::Closed { connection: worker }));
    harness.advance_with(SERVICE_GRACE + millis(200), &[kept]);
    assert!(registered_bytes(&harness) <= REGISTRATION_BYTES_MAX, "only one worker's registration is kept");
    leave(&mut harness, kept, &[]);
    assert_eq!(registered_bytes(&harness), 0);
}

#[test]
fn workers_with_the_same_services_share_their_names() {
    let mut harness = Harness::new();
    register(&mut harness, 1, vec![offer("shared", 1_000)]);
    let one = registered_bytes(&harness);
    for number in 2..=50 {
        register(&mut harness, number, vec![offer("shared", 1_000)]);
    }
    assert!(registered_bytes(&harness) < 20 * one, "{one} bytes of one, {} of all", registered_bytes(&harness));
}

#[test]
fn the_methods_of_a_worker_that_left_are_forgotten_while_others_serve_the_service() {
    let mut harness = Harness::new();
    let kept = register(&mut harness, 1, vec![offer("shared", 1)]);
    let before = registered_bytes(&harness);
    let old = register(&mut harness, 2, vec![offer("shared", METHODS_MAX)]);
    leave(&mut harness, old, &[kept]);
    assert_eq!(registered_bytes(&harness), before);
    // A new method takes a forgotten place, and calls find it.
    let new = Offer { methods: vec![method("another".to_owned())], ..offer("shared", 0) };
    let worker = register(&mut harness, 3, vec![new]);
    let client = harness.client(4);
    harness.call(client, 1, "shared.another");
    assert_eq!(harness.dispatches(worker).len(), 1);
    harness.call(client, 2, "shared.method_0");
    assert_eq!(harness.dispatches(kept).len(), 1);
}

#[test]
fn a_method_that_a_call_waits_for_is_not_forgotten() {
    let mut harness = Harness::new();
    let kept = register(&mut harness, 1, vec![offer("shared", 1)]);
    let old = register(&mut harness, 2, vec![offer("shared", 3)]);
    let client = harness.client(3);
    let mut waiting = super::harness::request(1, "shared.method_2");
    waiting.flags.wait_for_ready = true;
    waiting.timeout = Some(Duration::from_secs(3_600));
    harness.send(client, crate::wire::Envelope::Request(super::harness::request(9, "shared.method_1")));
    harness.dispatches(old);
    harness.send(client, crate::wire::Envelope::Request(waiting.clone()));
    harness.handle(crate::broker::Event::Closed { connection: old });
    waiting.number = crate::wire::ids::CallNumber(10);
    harness.send(client, crate::wire::Envelope::Request(waiting));
    harness.advance_with(SERVICE_GRACE + seconds(1), &[kept, client]);
    let again = register(&mut harness, 5, vec![offer("shared", 3)]);
    assert!(!harness.dispatches(again).is_empty());
}
