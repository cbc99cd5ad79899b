//! Floods of valid messages.

use bytes::Bytes;
use callboard::core::{
    body,
    broker::Status,
    wire::{
        Envelope,
        envelope::{Effect, Ping, Priority, Reply, Request, RequestFlags},
        handshake::{MethodLimits, MethodOffer, Offer, Register},
        ids::CallNumber,
        limits::REGISTRATIONS_BYTES_MAX,
        method::MethodName,
        status::{Code, Failure},
        streams::{Streams, Style},
    },
};

use crate::{
    attack::{Held, Target},
    wire::{Wire, command, encoded},
};

/// PINGs of ZMTP and pings of the protocol, from peers that do not read the answers.
pub(crate) fn pings(target: &Target) -> Held {
    let (mut below, mut above) = (target.client(), target.client());
    let zmtp = Bytes::from(command("PING", &[7; 18]).repeat(1_000));
    let ours = Bytes::from(encoded(&Envelope::Ping(Ping { number: 1, done_below: None })).repeat(1_000));
    below.flood(target.duration(), || zmtp.clone());
    above.flood(target.duration(), || ours.clone());
    Box::new((below, above))
}

/// Casts without a deadline for a service that no worker serves, from one connection after another. Each connection has new credit and is
/// closed while its casts wait.
pub(crate) fn casts(target: &Target) -> Held {
    let flags = RequestFlags { cast: true, wait_for_ready: true, ..RequestFlags::default() };
    let cast = |number| encoded(&Envelope::Request(Request { flags, ..request(number, "missing.method") }));
    let (connections, part) = (target.many(3, 40), target.many(1_000, 65_536));
    for _ in 0..connections {
        let mut client = target.client();
        let flood: Vec<u8> = (1..=4_000).flat_map(cast).collect();
        client.send(&flood).unwrap();
        // The broker answers this after it has read all casts.
        client.send_envelope(&Envelope::Ping(Ping { number: 1, done_below: None }));
        assert!(matches!(client.read_envelope(), Envelope::Pong(1)));
    }
    let mut client = target.client();
    client.send_envelope(&Envelope::Request(request(1, "callboard.status")));
    let Envelope::Reply(Reply { outcome: Ok(answer), .. }) = client.read_envelope() else { panic!("no status") };
    let status: Status = body::decode(&answer).unwrap();
    let waiting = status.services.iter().find(|service| service.name == "missing").unwrap().waiting;
    assert!(waiting <= part, "{waiting} casts wait");
    assert_eq!(waiting as u64 + status.counters.casts_failed, 4_000 * connections as u64);
    Box::new(())
}

/// A request without arguments and without a timeout.
pub(crate) fn request(number: u64, method: &str) -> Request {
    Request {
        number: CallNumber(number),
        method: MethodName::parse(method).unwrap(),
        timeout: None,
        effect: None,
        key: None,
        priority: Priority::Normal,
        flags: RequestFlags::default(),
        streams: Streams::NONE,
        done_below: CallNumber(0),
        extensions: Default::default(),
        body: Bytes::from_static(&[0x80]),
    }
}

/// A worker that registers again and again.
pub(crate) fn registrations(target: &Target) -> Held {
    for round in 0..target.many(2, 50) {
        let mut worker = Wire::join(&target.backend, "worker");
        for number in 0..10_000 {
            let register = Register {
                offers: vec![offer(format!("flood_{}", number % 2 + round as u32), 1)],
                ..Register::default()
            };
            if worker.send(&encoded(&Envelope::Register(body::encode(&register).unwrap()))).is_err() {
                break;
            }
        }
        let Envelope::Goodbye(Some(failure)) = worker.read_envelope() else { panic!("no goodbye") };
        assert_eq!(failure.code, Code::ResourceExhausted);
    }
    Box::new(())
}

/// Workers whose registrations have as many names as the other limits allow, and then as many as one worker may register.
pub(crate) fn large_registrations(target: &Target) -> Held {
    let mut greedy = Wire::join(&target.backend, "worker");
    let failure = register(&mut greedy, (0..256).map(|service| offer(format!("greedy_{service}"), 400)).collect());
    assert_eq!(failure.unwrap().code, Code::InvalidArgument);
    let mut workers = Vec::new();
    for number in 0..target.many(2, 100) {
        let mut worker = Wire::join(&target.backend, "worker");
        let offers = (0..12).map(|service| offer(format!("worker_{number}.service_{service}"), 1_000)).collect();
        if let Some(failure) = register(&mut worker, offers) {
            assert_eq!(failure.code, Code::ResourceExhausted);
        }
        workers.push(worker);
    }
    let mut client = target.client();
    client.send_envelope(&Envelope::Request(request(1, "callboard.status")));
    let Envelope::Reply(Reply { outcome: Ok(answer), .. }) = client.read_envelope() else { panic!("no status") };
    let status: Status = body::decode(&answer).unwrap();
    assert!(status.registered_bytes <= REGISTRATIONS_BYTES_MAX, "{} bytes are registered", status.registered_bytes);
    Box::new(workers)
}

/// Registers these offers. Returns the failure if the broker rejects them.
fn register(worker: &mut Wire, offers: Vec<Offer>) -> Option<Failure> {
    let register = Register { offers, ..Register::default() };
    worker.send_envelope(&Envelope::Register(body::encode(&register).unwrap()));
    worker.send_envelope(&Envelope::Ping(Ping { number: 1, done_below: None }));
    match worker.read_envelope() {
        Envelope::Pong(1) => None,
        Envelope::Goodbye(Some(failure)) => Some(*failure),
        other => panic!("neither registered nor rejected: {other:?}"),
    }
}

fn offer(service: String, methods: usize) -> Offer {
    let method = |number| MethodOffer {
        name: format!("run_{number}"),
        effect: Effect::Once,
        arguments: Vec::new(),
        style: Style::Unary,
        limits: MethodLimits::default(),
    };
    let methods = (0..methods).map(method).collect();
    Offer { service, slots: 1, free: 1, prefetch: 0, methods, keys: Vec::new(), contract: None }
}
