//! Services that are there, are not there yet, or are the broker's own.

use bytes::Bytes;

use super::stage::{Stage, calc, millis, request, seconds};
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
fn a_service_that_nobody_serves_is_refused_at_once_with_those_there_are() {
    let mut stage = Stage::new();
    stage.worker(1, calc(1));
    let client = stage.client(2);
    stage.call(client, 1, "clac.add");
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::No));
    assert!(failure.message.contains("services with workers: calc"), "{failure}");
}

#[test]
fn names_that_others_only_wait_for_are_not_told_to_who_calls_nobody() {
    let mut stage = Stage::new();
    let client = stage.client(1);
    for number in 1..=20 {
        let mut made_up = request(number, &format!("calx{number}.add"));
        made_up.flags.wait_for_ready = true;
        stage.say(client, Envelope::Request(made_up));
    }
    stage.call(client, 21, "cal.add");
    assert_eq!(stage.failure(client).message, "no worker serves cal; no worker is registered");
    let worker = stage.worker(2, calc(1));
    stage.call(client, 22, "cal.add");
    assert_eq!(stage.failure(client).message, "no worker serves cal; services with workers: calc");
    stage.handle(Event::Closed { connection: worker });
    stage.call(client, 23, "cal.add");
    assert_eq!(stage.failure(client).message, "no worker serves cal; no worker is registered");
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
fn a_method_that_no_worker_of_its_service_lately_had_is_refused_whatever_the_request_says() {
    let mut stage = Stage::new();
    let old = stage.worker(1, calc(1));
    let mut offer = calc(1);
    offer.methods.retain(|method| method.name != "pay");
    let (new, client) = (stage.worker(2, offer), stage.client(3));
    stage.say(old, Envelope::Goodbye(None));
    let mut patient = request(1, "calc.pay");
    patient.flags.wait_for_ready = true;
    stage.say(client, Envelope::Request(patient.clone()));
    assert_eq!(stage.replies(client), [], "somebody had it a moment ago");
    stage.say(client, Envelope::Cancel(Cancel { number: 1, done_below: None }));
    stage.pass_with(seconds(11), &[new, client]);
    stage.say(client, Envelope::Request(Request { number: CallNumber(2), ..patient }));
    assert_eq!(stage.failure(client).code, Code::Unimplemented);
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
    stage.handle(Event::Closed { connection: worker });
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
    stage.handle(Event::Closed { connection: worker });
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
fn the_status_tells_what_runs_where_who_waits_and_who_called() {
    let mut stage = Stage::new();
    let worker = stage.worker(1, calc(1));
    let client = stage.client(2);
    (1..=3).for_each(|number| stage.call(client, number, "calc.add"));
    stage.pass_with(millis(1_400), &[client, worker]);
    let status = stage.broker.status(stage.now);
    let [told] = &status.workers[..] else { panic!("{status:?}") };
    assert_eq!((told.slots, told.running, told.services.as_slice()), (1, 1, &["calc".to_owned()][..]));
    let [call] = &told.calls[..] else { panic!("{told:?}") };
    assert_eq!((&*call.call, &*call.method, call.for_ms, call.wanted), ("02020202-1", "calc.add", 1_400, true));
    let [service] = &status.services[..] else { panic!("{status:?}") };
    assert_eq!((service.waiting, service.oldest_wait_ms, service.rates.arrived), (2, 1_400, 0.6));
    let [caller] = &status.callers[..] else { panic!("{status:?}") };
    assert_eq!((&*caller.caller, caller.connected, caller.open), ("02020202", true, 3));
    let dispatches = stage.dispatches(worker);
    stage.answer(worker, &dispatches[0], &[0x05]);
    let status = stage.broker.status(stage.now);
    assert_eq!((status.workers[0].answered, status.callers[0].open, status.services[0].waiting), (1, 2, 1));
    assert_eq!(status.workers[0].calls[0].for_ms, 0, "the next one has just begun");
}

#[test]
fn a_status_is_bounded_and_says_what_it_left_out() {
    let mut stage = Stage::new();
    let clients: Vec<_> = (1..=250).map(|number| stage.client(number)).collect();
    stage.call(clients[240], 1, "none.such");
    let status = stage.broker.status(stage.now);
    assert_eq!((status.clients, status.callers.len(), status.omitted.clients), (250, 200, 50));
}

#[test]
fn a_service_that_nobody_serves_or_calls_is_forgotten() {
    let mut stage = Stage::new();
    let client = stage.client(1);
    for number in 1..=50 {
        stage.call(client, number, &format!("service_{number}.method"));
    }
    stage.pass_with(seconds(11), &[client]);
    assert_eq!(stage.broker.registry.services().count(), 0, "names cost memory for a while only");
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

/// The service `calc`, said to be what `digit` stands for.
fn described(digit: char) -> Offer {
    let hash = digit.to_string().repeat(16).parse().unwrap();
    let description = Bytes::from(format!("description {digit}"));
    Offer { contract: Some(ContractOffer { hash, description: Some(description) }), ..calc(1) }
}

fn describe(stage: &mut Stage, client: ConnectionId, number: u64, service: &str) -> ServiceContracts {
    let body = body::encode(&(service,)).unwrap();
    stage.say(client, Envelope::Request(Request { body, ..request(number, "callboard.describe") }));
    let replies = stage.replies(client);
    body::decode(replies.last().unwrap().1.as_ref().unwrap()).unwrap()
}

#[test]
fn a_service_is_what_its_workers_say_for_as_long_as_they_are_there() {
    let mut stage = Stage::new();
    let (one, other) = (stage.worker(1, described('a')), stage.worker(2, described('b')));
    stage.worker(3, described('b'));
    let client = stage.client(4);
    let both = describe(&mut stage, client, 1, "calc");
    let said: Vec<_> = both.contracts.iter().map(|said| (said.hash.to_string(), said.workers)).collect();
    assert_eq!(said, [("b".repeat(16), 2), ("a".repeat(16), 1)], "the one that most say first");
    assert_eq!(both.contracts[1].description.as_deref(), Some(&b"description a"[..]));
    stage.handle(Event::Closed { connection: one });
    stage.handle(Event::Closed { connection: other });
    let left = describe(&mut stage, client, 2, "calc");
    assert_eq!(left.contracts.len(), 1);
    assert_eq!(left.contracts[0].workers, 1);
}

#[test]
fn a_broker_keeps_few_descriptions_of_a_service_but_counts_all_contracts() {
    let mut stage = Stage::new();
    for number in 1..=9 {
        stage.worker(number, described(char::from(b'0' + number)));
    }
    let client = stage.client(10);
    let described = describe(&mut stage, client, 1, "calc").contracts;
    assert_eq!(described.len(), 9);
    assert_eq!(described.iter().filter(|said| said.description.is_some()).count(), limits::DESCRIPTIONS_MAX);
}

#[test]
fn a_description_that_is_too_large_is_refused() {
    let mut stage = Stage::new();
    let mut offer = described('a');
    let description = Bytes::from(vec![0; limits::DESCRIPTION_BYTES_MAX + 1]);
    offer.contract.as_mut().unwrap().description = Some(description);
    let worker = stage.worker(1, offer);
    assert_eq!(stage.closed, [worker]);
}

#[test]
fn the_broker_describes_itself_and_says_who_is_there_instead_of_who_is_not() {
    let mut stage = Stage::new();
    stage.worker(1, calc(1));
    let client = stage.client(2);
    let own = describe(&mut stage, client, 1, "callboard");
    let description: ServiceDescription = body::decode(own.contracts[0].description.as_ref().unwrap()).unwrap();
    assert_eq!(description.method("describe").unwrap().arguments[0].name, "service");
    assert_eq!(describe(&mut stage, client, 2, "calc").contracts, []);
    let body = body::encode(&("clac",)).unwrap();
    stage.say(client, Envelope::Request(Request { body, ..request(3, "callboard.describe") }));
    let replies = stage.replies(client);
    let failure = replies.last().unwrap().1.as_ref().unwrap_err();
    assert_eq!(failure.code, Code::Unavailable);
    assert!(failure.message.contains("services with workers: calc"), "{failure}");
    stage.call(client, 4, "callboard.describe");
    let replies = stage.replies(client);
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
fn a_name_that_nobody_uses_any_more_makes_way_for_a_new_one_and_a_call_keeps_its_own() {
    let mut stage = Stage::new();
    let most = || (0..limits::METHODS_MAX).map(|number| format!("m{number}"));
    let (all, client) = (stage.worker(1, named(most())), stage.client(9));
    (1..=2).for_each(|number| stage.call(client, number, "calc.m0"));
    let running = stage.dispatches(all).remove(0);
    let beyond = stage.worker(2, named(["new".to_owned()].into_iter()));
    assert!(!stage.closed.contains(&beyond), "further ones are not served, and their worker stays");
    stage.call(client, 3, "calc.new");
    assert_eq!(stage.failure(client).code, Code::Unimplemented);
    stage.answer(all, &running, b"\x00");
    stage.say(all, Envelope::Goodbye(None));
    stage.register(beyond, Register { offers: vec![named(["new".to_owned()].into_iter())], exclusive: false });
    stage.call(client, 4, "calc.new");
    assert_eq!(stage.dispatches(beyond).len(), 1);
    stage.heard(client);
    stage.call(client, 5, "calc.m0");
    let again = stage.worker(3, named(["m0".to_owned(), "newer".to_owned()].into_iter()));
    assert_eq!(stage.dispatches(again)[0].method.method(), "m0", "what waits for a name keeps it");
}
