//! Slots of a whole worker, which all its offers share.

use super::harness::{Harness, calc, hello, seconds, session};
use crate::{
    broker::Endpoint,
    wire::{
        Envelope,
        affinity::AffinityKey,
        envelope::{Credit, Dispatch, KeyFreed},
        handshake::{Hello, Offer, Register, Role},
        ids::ConnectionId,
        status::Code,
    },
};

/// The service `text`, with the methods of `calc`.
fn text(slots: u32) -> Offer {
    Offer { service: "text".to_owned(), ..calc(slots) }
}

/// Returns a registration of `calc` and `text`, with three slots each and these shared slots.
fn sharing(slots: u32, prefetch: u32) -> Register {
    Register { offers: vec![calc(3), text(3)], slots: Some(slots), prefetch, ..Register::default() }
}

fn worker(harness: &mut Harness, number: u8, register: Register) -> ConnectionId {
    let hello = Hello { pool: Some("jobs".into()), session: session(number), ..hello(Role::Worker, number, 1) };
    let connection = harness.handshake(Endpoint::Backend, &hello);
    harness.register(connection, register);
    connection
}

/// A worker with these shared slots, and a client.
fn harness(slots: u32, prefetch: u32) -> (Harness, ConnectionId, ConnectionId) {
    let mut harness = Harness::new();
    let worker = worker(&mut harness, 1, sharing(slots, prefetch));
    let client = harness.client(9);
    (harness, worker, client)
}

fn methods(dispatches: &[Dispatch]) -> Vec<String> {
    dispatches.iter().map(|dispatch| dispatch.method.to_string()).collect()
}

#[test]
fn a_worker_gets_no_more_calls_than_its_shared_slots_and_prefetch() {
    let (mut harness, worker, client) = harness(2, 1);
    let calls = ["calc.add", "text.add", "calc.add", "text.add"];
    (1..).zip(calls).for_each(|(number, method)| harness.call(client, number, method));
    assert_eq!(methods(&harness.dispatches(worker)), calls[..3]);
}

#[test]
fn an_offer_gets_no_more_calls_than_its_own_slots_although_shared_slots_are_free() {
    let (mut harness, worker, client) = harness(5, 0);
    (1..=4).for_each(|number| harness.call(client, number, "calc.add"));
    assert_eq!(harness.dispatches(worker).len(), 3);
    (5..=7).for_each(|number| harness.call(client, number, "text.add"));
    assert_eq!(harness.dispatches(worker).len(), 2);
}

#[test]
fn a_call_that_ends_makes_room_for_a_waiting_call_of_another_service() {
    let (mut harness, worker, client) = harness(1, 0);
    harness.call(client, 1, "calc.add");
    harness.call(client, 2, "text.add");
    let running = harness.dispatches(worker);
    assert_eq!(methods(&running), ["calc.add"]);
    harness.reply(worker, &running[0], &[0]);
    let running = harness.dispatches(worker);
    assert_eq!(methods(&running), ["text.add"]);
    harness.call(client, 3, "calc.add");
    harness.send(worker, Envelope::Handback(running[0].number));
    assert_eq!(methods(&harness.dispatches(worker)), ["calc.add"], "a handback frees the slot of the worker, too");
}

#[test]
fn services_take_turns_at_shared_slots() {
    let (mut harness, worker, client) = harness(1, 0);
    (1..=4).for_each(|number| harness.call(client, number, "calc.add"));
    (5..=6).for_each(|number| harness.call(client, number, "text.add"));
    let mut order = Vec::new();
    while let [running] = &harness.dispatches(worker)[..] {
        order.push(running.method.service().to_owned());
        harness.reply(worker, running, &[0]);
    }
    assert_eq!(order, ["calc", "calc", "text", "calc", "text", "calc"]);
}

#[test]
fn the_worker_with_the_least_used_shared_slots_gets_the_next_call() {
    let (mut harness, first, client) = harness(3, 0);
    let second = worker(&mut harness, 2, sharing(3, 0));
    (1..=2).for_each(|number| harness.call(client, number, "calc.add"));
    let sent = [harness.dispatches(first), harness.dispatches(second)];
    assert_eq!(sent.each_ref().map(Vec::len), [1, 1]);
    harness.reply(second, &sent[1][0], &[0]);
    harness.call(client, 3, "text.add");
    assert_eq!(harness.dispatches(second).len(), 1, "calls of another service count as load of the worker");
}

#[test]
fn a_call_of_an_earlier_connection_holds_a_shared_slot_until_its_credit() {
    let mut harness = Harness::new();
    let mut register = sharing(2, 0);
    register.offers[0].free = 2;
    register.offers[1].free = 2;
    register.offers[1].keys = vec![AffinityKey::parse("k").unwrap()];
    let worker = worker(&mut harness, 1, register);
    let client = harness.client(9);
    (1..=3).for_each(|number| harness.call(client, number, "calc.add"));
    assert!(harness.dispatches(worker).is_empty(), "calls of earlier connections hold both slots");
    harness.send(worker, Envelope::Credit(Credit { calls: 1, bytes: 0, offer: 0 }));
    assert_eq!(harness.dispatches(worker).len(), 1);
    harness.send(worker, Envelope::KeyFreed(KeyFreed { offer: 1, key: AffinityKey::parse("k").unwrap() }));
    assert_eq!(harness.dispatches(worker).len(), 1, "the slot serves any offer");
    harness.send(worker, Envelope::Credit(Credit { calls: 5, bytes: 0, offer: 1 }));
    assert!(harness.dispatches(worker).is_empty(), "credit returns no more slots than were held");
}

#[test]
fn a_registration_with_an_invalid_number_of_shared_slots_is_rejected() {
    for (slots, prefetch, reason) in [
        (0, 0, "a worker with 0 slots for all its services: use 1 to 65536"),
        (65_537, 0, "a worker with 65537 slots for all its services: use 1 to 65536"),
        (1, 65_537, "a worker with a prefetch of 65537 for all its services: use 0 to 65536"),
    ] {
        let mut harness = Harness::new();
        let worker = worker(&mut harness, 1, sharing(slots, prefetch));
        let failure = harness.disconnect_reason(worker);
        assert_eq!((failure.code, &*failure.message), (Code::InvalidArgument, reason));
    }
}

#[test]
fn a_later_registration_replaces_the_shared_slots() {
    let (mut harness, worker, client) = harness(1, 0);
    harness.register(worker, Register { slots: None, ..sharing(1, 0) });
    (1..=4).for_each(|number| harness.call(client, number, if number > 2 { "calc.add" } else { "text.add" }));
    assert_eq!(harness.dispatches(worker).len(), 4);
}

#[test]
fn status_and_load_count_shared_slots_once_and_the_calls_that_use_them_for_each_service() {
    let (mut harness, worker, client) = harness(2, 0);
    harness.call(client, 1, "text.add");
    let status = harness.broker.status(harness.now);
    assert_eq!((status.workers[0].slots, status.workers[0].running), (2, 1));
    let services = harness.broker.service_statuses(harness.now);
    assert_eq!(services.iter().map(|service| service.slots).collect::<Vec<_>>(), [2, 2]);
    let load = harness.broker.load(harness.now, "jobs");
    let offers = load.offers.iter().map(|offer| (&*offer.service, offer.slots, offer.running));
    assert_eq!(offers.collect::<Vec<_>>(), [("calc", 2, 1), ("text", 2, 1)]);
    (2..=3).for_each(|number| harness.call(client, number, "calc.add"));
    let why = harness.broker.open_calls(harness.now).into_iter().find(|why| why.call.ends_with("-3")).unwrap();
    assert_eq!(why.reason, "all 2 slots of calc are busy, and 0 calls are ahead of it");
    let busy: Vec<_> = why.busy.iter().map(|busy| &*busy.method).collect();
    assert_eq!(busy, ["text.add", "calc.add"], "calls of the other service use the shared slots");
    harness.advance_with(seconds(1), &[worker, client]);
}
