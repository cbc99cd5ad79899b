//! Services: served, not yet served, unknown, and the service of the broker itself.

use bytes::Bytes;

use super::harness::{Harness, calc, millis, request, seconds};
use crate::{
    body,
    broker::{Event, GateStatus, ServiceContracts, ServiceStatus, Settings, Status},
    contract::ServiceDescription,
    wire::{
        Envelope,
        envelope::{Cancel, Request},
        handshake::{ContractOffer, MethodOffer, Offer, Register},
        ids::{CallNumber, ConnectionId},
        limits,
        status::{Code, Executed},
    },
};

#[test]
fn an_unserved_service_is_rejected_at_once_with_the_served_ones() {
    let mut harness = Harness::new();
    harness.worker(1, calc(1));
    let client = harness.client(2);
    harness.call(client, 1, "clac.add");
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::No));
    assert!(failure.message.contains("services with workers: calc"), "{failure}");
}

#[test]
fn service_names_that_calls_only_wait_for_are_not_disclosed() {
    let mut harness = Harness::new();
    let client = harness.client(1);
    for number in 1..=20 {
        let mut made_up = request(number, &format!("calx{number}.add"));
        made_up.flags.wait_for_ready = true;
        harness.send(client, Envelope::Request(made_up));
    }
    harness.call(client, 21, "cal.add");
    assert_eq!(harness.failure(client).message, "no worker serves cal; no worker is registered");
    let worker = harness.worker(2, calc(1));
    harness.call(client, 22, "cal.add");
    assert_eq!(harness.failure(client).message, "no worker serves cal; services with workers: calc");
    harness.handle(Event::Closed { connection: worker });
    harness.call(client, 23, "cal.add");
    assert_eq!(harness.failure(client).message, "no worker serves cal; no worker is registered");
}

#[test]
fn an_unknown_method_is_rejected_with_similar_names() {
    let mut harness = Harness::new();
    harness.worker(1, calc(1));
    let client = harness.client(2);
    let mut wrong = request(1, "calc.ad");
    wrong.flags.wait_for_ready = true;
    harness.send(client, Envelope::Request(wrong));
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::Unimplemented, Executed::No));
    assert!(failure.message.contains("did you mean add?"), "{failure}");
}

#[test]
fn a_method_unserved_for_a_while_is_rejected_even_with_wait_for_ready() {
    let mut harness = Harness::new();
    let old = harness.worker(1, calc(1));
    let mut offer = calc(1);
    offer.methods.retain(|method| method.name != "pay");
    let (new, client) = (harness.worker(2, offer), harness.client(3));
    harness.send(old, Envelope::Goodbye(None));
    let mut waiting = request(1, "calc.pay");
    waiting.flags.wait_for_ready = true;
    harness.send(client, Envelope::Request(waiting.clone()));
    assert_eq!(harness.replies(client), [], "a worker served the method a moment ago");
    harness.send(client, Envelope::Cancel(Cancel { number: 1, done_below: None }));
    harness.advance_with(seconds(11), &[new, client]);
    harness.send(client, Envelope::Request(Request { number: CallNumber(2), ..waiting }));
    assert_eq!(harness.failure(client).code, Code::Unimplemented);
}

#[test]
fn a_broker_that_just_started_waits_for_workers() {
    let mut harness = Harness::just_started(Settings::default());
    let client = harness.client(1);
    harness.call(client, 1, "calc.add");
    harness.call(client, 2, "none.such");
    harness.advance_with(seconds(1), &[client]);
    assert!(harness.replies(client).is_empty());
    let worker = harness.worker(2, calc(1));
    assert_eq!(harness.dispatches(worker).len(), 1);
    harness.advance_with(seconds(2), &[client, worker]);
    assert_eq!(harness.failure(client).code, Code::Unavailable);
}

#[test]
fn a_call_with_wait_for_ready_waits_for_a_worker() {
    let mut harness = Harness::new();
    let client = harness.client(1);
    let mut waiting = request(1, "calc.add");
    waiting.flags.wait_for_ready = true;
    harness.send(client, Envelope::Request(waiting));
    harness.advance_with(seconds(15), &[client]);
    assert!(harness.replies(client).is_empty());
    let worker = harness.worker(2, calc(1));
    assert_eq!(harness.dispatches(worker).len(), 1);
}

#[test]
fn a_call_that_waits_for_a_worker_still_expires() {
    let mut harness = Harness::new();
    let client = harness.client(1);
    let mut waiting = request(1, "calc.add");
    waiting.flags.wait_for_ready = true;
    waiting.timeout = Some(millis(700));
    harness.send(client, Envelope::Request(waiting));
    harness.advance_with(seconds(1), &[client]);
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::DeadlineExceeded, Executed::No));
}

#[test]
fn a_call_waits_for_a_service_that_was_served_recently() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let client = harness.client(2);
    harness.handle(Event::Closed { connection: worker });
    harness.call(client, 1, "calc.add");
    harness.advance_with(seconds(8), &[client]);
    assert!(harness.replies(client).is_empty());
    harness.advance_with(seconds(3), &[client]);
    assert_eq!(harness.failure(client).code, Code::Unavailable);
    harness.call(client, 2, "calc.add");
    assert_eq!(harness.failure(client).code, Code::Unavailable, "the broker no longer waits for a worker");
}

#[test]
fn calls_that_wait_for_a_lost_service_fail_after_the_return_time() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let client = harness.client(2);
    (1..=2).for_each(|number| harness.call(client, number, "calc.add"));
    harness.handle(Event::Closed { connection: worker });
    harness.advance_with(seconds(11), &[client]);
    let replies = harness.replies(client);
    assert_eq!(replies.len(), 2);
    for (number, outcome) in replies {
        let failure = outcome.unwrap_err();
        assert_eq!(failure.code, Code::Unavailable);
        let executed = if number == 1 { Executed::Maybe } else { Executed::No };
        assert_eq!(failure.executed, executed, "call {number}");
    }
}

#[test]
fn the_broker_answers_its_own_methods() {
    let mut harness = Harness::new();
    harness.worker(1, calc(3));
    let client = harness.client(2);
    harness.call(client, 1, "callboard.ping");
    harness.call(client, 2, "callboard.services");
    harness.call(client, 3, "callboard.status");
    harness.call(client, 4, "callboard.statsu");
    let replies = harness.replies(client);
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
fn the_status_lists_running_and_waiting_calls_with_their_clients() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let client = harness.client(2);
    (1..=3).for_each(|number| harness.call(client, number, "calc.add"));
    harness.advance_with(millis(1_400), &[client, worker]);
    let status = harness.broker.status(harness.now);
    let [worker_status] = &status.workers[..] else { panic!("{status:?}") };
    assert_eq!(
        (worker_status.slots, worker_status.running, worker_status.services.as_slice()),
        (1, 1, &["calc".to_owned()][..])
    );
    let [call] = &worker_status.calls[..] else { panic!("{worker_status:?}") };
    assert_eq!((&*call.call, &*call.method, call.for_ms, call.wanted), ("02020202-1", "calc.add", 1_400, true));
    let [service] = &status.services[..] else { panic!("{status:?}") };
    assert_eq!((service.waiting, service.oldest_wait_ms, service.rates.arrived), (2, 1_400, 0.6));
    let [caller] = &status.callers[..] else { panic!("{status:?}") };
    assert_eq!((&*caller.caller, caller.connected, caller.open), ("02020202", true, 3));
    let dispatches = harness.dispatches(worker);
    harness.reply(worker, &dispatches[0], &[0x05]);
    let status = harness.broker.status(harness.now);
    assert_eq!((status.workers[0].answered, status.callers[0].open, status.services[0].waiting), (1, 2, 1));
    assert_eq!(status.workers[0].calls[0].for_ms, 0, "the next call has just started");
}

#[test]
fn a_status_is_bounded_and_counts_omitted_entries() {
    let mut harness = Harness::new();
    let clients: Vec<_> = (1..=250).map(|number| harness.client(number)).collect();
    harness.call(clients[240], 1, "none.such");
    let status = harness.broker.status(harness.now);
    assert_eq!((status.clients, status.callers.len(), status.omitted.clients), (250, 200, 50));
}

#[test]
fn an_unused_service_is_forgotten() {
    let mut harness = Harness::new();
    let client = harness.client(1);
    for number in 1..=50 {
        harness.call(client, number, &format!("service_{number}.method"));
    }
    harness.advance_with(seconds(11), &[client]);
    assert_eq!(harness.broker.registry.services().count(), 0, "unused names are removed after a while");
}

#[test]
fn gate_returns_the_latest_status_from_the_driver() {
    let mut harness = Harness::new();
    let client = harness.client(1);
    let status = GateStatus { connections: 7, closed: [("flags".to_owned(), 3)].into(), ..GateStatus::default() };
    harness.handle(Event::Gate(Box::new(status.clone())));
    harness.call(client, 1, "callboard.gate");
    let replies = harness.replies(client);
    assert_eq!(body::decode::<GateStatus>(replies[0].1.as_ref().unwrap()), Ok(status));
}

/// The service `calc` with a contract that `digit` identifies.
fn described(digit: char) -> Offer {
    let hash = digit.to_string().repeat(16).parse().unwrap();
    let description = Bytes::from(format!("description {digit}"));
    Offer { contract: Some(ContractOffer { hash, description: Some(description) }), ..calc(1) }
}

fn describe(harness: &mut Harness, client: ConnectionId, number: u64, service: &str) -> ServiceContracts {
    let body = body::encode(&(service,)).unwrap();
    harness.send(client, Envelope::Request(Request { body, ..request(number, "callboard.describe") }));
    let replies = harness.replies(client);
    body::decode(replies.last().unwrap().1.as_ref().unwrap()).unwrap()
}

#[test]
fn contracts_of_a_service_follow_its_connected_workers() {
    let mut harness = Harness::new();
    let (one, other) = (harness.worker(1, described('a')), harness.worker(2, described('b')));
    harness.worker(3, described('b'));
    let client = harness.client(4);
    let both = describe(&mut harness, client, 1, "calc");
    let workers: Vec<_> = both.contracts.iter().map(|contract| (contract.hash.to_string(), contract.workers)).collect();
    assert_eq!(workers, [("b".repeat(16), 2), ("a".repeat(16), 1)], "the contract of most workers comes first");
    assert_eq!(both.contracts[1].description.as_deref(), Some(&b"description a"[..]));
    harness.handle(Event::Closed { connection: one });
    harness.handle(Event::Closed { connection: other });
    let left = describe(&mut harness, client, 2, "calc");
    assert_eq!(left.contracts.len(), 1);
    assert_eq!(left.contracts[0].workers, 1);
}

#[test]
fn stored_descriptions_of_a_service_are_bounded_but_all_contracts_are_counted() {
    let mut harness = Harness::new();
    for number in 1..=9 {
        harness.worker(number, described(char::from(b'0' + number)));
    }
    let client = harness.client(10);
    let described = describe(&mut harness, client, 1, "calc").contracts;
    assert_eq!(described.len(), 9);
    assert_eq!(described.iter().filter(|contract| contract.description.is_some()).count(), limits::DESCRIPTIONS_MAX);
}

#[test]
fn an_oversized_description_is_rejected() {
    let mut harness = Harness::new();
    let mut offer = described('a');
    let description = Bytes::from(vec![0; limits::DESCRIPTION_BYTES_MAX + 1]);
    offer.contract.as_mut().unwrap().description = Some(description);
    let worker = harness.worker(1, offer);
    assert_eq!(harness.closed, [worker]);
}

#[test]
fn describe_covers_the_broker_and_suggests_served_services() {
    let mut harness = Harness::new();
    harness.worker(1, calc(1));
    let client = harness.client(2);
    let own = describe(&mut harness, client, 1, "callboard");
    let description: ServiceDescription = body::decode(own.contracts[0].description.as_ref().unwrap()).unwrap();
    assert_eq!(description.method("describe").unwrap().arguments[0].name, "service");
    assert_eq!(describe(&mut harness, client, 2, "calc").contracts, []);
    let body = body::encode(&("clac",)).unwrap();
    harness.send(client, Envelope::Request(Request { body, ..request(3, "callboard.describe") }));
    let replies = harness.replies(client);
    let failure = replies.last().unwrap().1.as_ref().unwrap_err();
    assert_eq!(failure.code, Code::Unavailable);
    assert!(failure.message.contains("services with workers: calc"), "{failure}");
    harness.call(client, 4, "callboard.describe");
    let replies = harness.replies(client);
    let failure = replies.last().unwrap().1.as_ref().unwrap_err();
    assert_eq!((failure.code, &*failure.type_name), (Code::InvalidArgument, "ArgumentError"));
}

/// The service `calc` with methods of these names.
fn named(names: impl Iterator<Item = String>) -> Offer {
    let mut offer = calc(1);
    let method = offer.methods[0].clone();
    offer.methods = names.map(|name| MethodOffer { name, ..method.clone() }).collect();
    offer
}

#[test]
fn an_unused_method_name_is_evicted_for_a_new_one_and_a_waiting_call_keeps_its_name() {
    let mut harness = Harness::new();
    let all_names = || (0..limits::METHODS_MAX).map(|number| format!("m{number}"));
    let (all, client) = (harness.worker(1, named(all_names())), harness.client(9));
    (1..=2).for_each(|number| harness.call(client, number, "calc.m0"));
    let running = harness.dispatches(all).remove(0);
    let beyond = harness.worker(2, named(["new".to_owned()].into_iter()));
    assert!(
        !harness.closed.contains(&beyond),
        "methods above the limit are not served, but their worker stays connected"
    );
    harness.call(client, 3, "calc.new");
    assert_eq!(harness.failure(client).code, Code::Unimplemented);
    harness.reply(all, &running, b"\x00");
    harness.send(all, Envelope::Goodbye(None));
    harness.register(beyond, Register { offers: vec![named(["new".to_owned()].into_iter())], ..Register::default() });
    harness.call(client, 4, "calc.new");
    assert_eq!(harness.dispatches(beyond).len(), 1);
    harness.received(client);
    harness.call(client, 5, "calc.m0");
    let again = harness.worker(3, named(["m0".to_owned(), "newer".to_owned()].into_iter()));
    assert_eq!(harness.dispatches(again)[0].method.method(), "m0", "a waiting call keeps its method name");
}
