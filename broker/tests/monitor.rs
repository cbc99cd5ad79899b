//! Reading the state of a broker, and how long its largest state takes.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use bytes::Bytes;
use callboard_broker::{RunningBroker, Settings};
use callboard_core::{
    auth::Nonce,
    body,
    broker::{self, Action, Broker, Endpoint, Event, Identity},
    time::Time,
    wire::{
        Bundler, Envelope,
        envelope::{Effect, Priority, Reply, Request, RequestFlags},
        handshake::{Hello, MethodLimits, MethodOffer, Offer, Register, Role},
        ids::{BrokerId, CallNumber, ConnectionId, ConnectionNumber, SessionId, StartId},
        method::MethodName,
        streams::{Streams, Style},
    },
};

/// The services, and the methods of each, of the largest state.
const SERVICES: usize = 1_000;
const METHODS: usize = 100;
/// The services of one worker.
const OFFERS: usize = 100;

#[tokio::test]
async fn a_monitor_reads_the_state_until_the_broker_has_ended() {
    let any_port = || "tcp://127.0.0.1:0".parse().unwrap();
    let broker = RunningBroker::start(Settings::new(any_port(), any_port())).await.unwrap();
    let monitor = broker.monitor();
    let draining = monitor.read(|broker, now| broker.metrics(now).draining).await;
    assert_eq!(draining, Some(false));
    broker.shut_down().await;
    assert_eq!(monitor.read(|_, _| ()).await, None);
}

/// Prints how long a snapshot takes with 1,000 services of 100 methods each, all of which were called.
#[test]
#[ignore = "a measurement: cargo test --release -p callboard-broker --test monitor -- --ignored --nocapture"]
fn the_largest_snapshot_takes_little_time() {
    let identity = Identity { broker: BrokerId([1; 16]), start: StartId([2; 16]), fences_from: 1 };
    let mut broker = Broker::new(broker::Settings::default(), identity, Time::ZERO);
    let client = connect(&mut broker, 1, Role::Client);
    let mut number = 0;
    for worker in 0..SERVICES / OFFERS {
        let connection = connect(&mut broker, 2 + worker as u8, Role::Worker);
        let offers = (0..OFFERS).map(|at| offer(&format!("service{}", worker * OFFERS + at))).collect();
        let register = Register { offers, ..Register::default() };
        send(&mut broker, connection, &Envelope::Register(body::encode(&register).unwrap()));
        for method in register.offers.iter().flat_map(names) {
            number += 1;
            run_call(&mut broker, client, connection, number, &method);
        }
    }
    let mut spans: Vec<_> = (0..100)
        .map(|_| {
            let began = Instant::now();
            std::hint::black_box(broker.metrics(Time::ZERO));
            began.elapsed()
        })
        .collect();
    spans.sort_unstable();
    let metrics = broker.metrics(Time::ZERO);
    println!(
        "{} services, {} methods: {:?} (median), {:?} (maximum)",
        metrics.services.len(),
        metrics.methods.len(),
        spans[50],
        spans[99]
    );
    assert_eq!(metrics.counters.answered, number);
}

fn connect(broker: &mut Broker, number: u8, role: Role) -> ConnectionId {
    let connection = ConnectionId(number.into());
    let endpoint = if role == Role::Client { Endpoint::Frontend } else { Endpoint::Backend };
    let (address, rate_limit_key) = ("tcp://192.0.2.7:1".into(), "192.0.2.7".into());
    let (nonce, until) = (Nonce([number; 32]), Time::from_micros(1_000_000));
    let opened = Event::Opened { connection, endpoint, address, rate_limit_key, channel: None, nonce, until };
    broker.handle_event(Time::ZERO, opened, &mut Vec::new());
    let hello = Hello {
        versions: (2, 2),
        role,
        session: SessionId([number; 16]),
        connection: ConnectionNumber(1),
        heartbeat_ms: 1_000,
        instance: format!("peer-{number}"),
        pool: None,
        pool_pid: None,
        pid: None,
        host: String::new(),
        capabilities: Vec::new(),
        message_bytes_max: None,
        nonce: None,
    };
    send(broker, connection, &Envelope::Hello(body::encode(&hello).unwrap()));
    send(broker, connection, &Envelope::Proof(Bytes::new()));
    connection
}

fn offer(service: &str) -> Offer {
    let method = |number: usize| MethodOffer {
        name: format!("method{number}"),
        effect: Effect::Read,
        arguments: Vec::new(),
        style: Style::Unary,
        limits: MethodLimits::default(),
    };
    let methods = (0..METHODS).map(method).collect();
    Offer { service: service.to_owned(), slots: 4, free: 4, prefetch: 0, keys: Vec::new(), methods, contract: None }
}

fn names(offer: &Offer) -> Vec<String> {
    offer.methods.iter().map(|method| format!("{}.{}", offer.service, method.name)).collect()
}

fn run_call(broker: &mut Broker, client: ConnectionId, worker: ConnectionId, number: u64, method: &str) {
    let request = Request {
        number: CallNumber(number),
        method: MethodName::parse(method).unwrap(),
        timeout: None,
        effect: None,
        priority: Priority::Normal,
        flags: RequestFlags::default(),
        key: None,
        streams: Streams::NONE,
        done_below: CallNumber(0),
        extensions: Bytes::new().into(),
        body: Bytes::from_static(&[0x80]),
    };
    let actions = send(broker, client, &Envelope::Request(request));
    let dispatch = actions.iter().find_map(|action| match action {
        Action::Send(_, Envelope::Dispatch(dispatch)) => Some(dispatch.number.0),
        _ => None,
    });
    let (outcome, extensions) = (Ok(Bytes::from_static(&[1])), Bytes::new().into());
    let reply = Reply { number: dispatch.unwrap(), outcome, credit: None, handler_time: None, extensions };
    send(broker, worker, &Envelope::Reply(reply));
}

/// Sends one envelope to the broker, and returns its actions.
fn send(broker: &mut Broker, connection: ConnectionId, envelope: &Envelope) -> Vec<Action> {
    let (mut bundler, mut actions) = (Bundler::new(), Vec::new());
    bundler.push(envelope);
    for frames in bundler.take().map(|frames| frames.to_vec()).collect::<Vec<_>>() {
        broker.handle_message(Time::ZERO, connection, &frames, &mut actions);
    }
    actions
}
