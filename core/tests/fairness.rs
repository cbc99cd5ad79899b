//! Fairness in virtual time: a light client beside a tenant with a thousand sessions.
//!
//! The test runs the broker machine, a worker whose slots are always full, and clients that make the next call at once. It compares
//! the waiting time of the light client beside the heavy tenant with its waiting time alone.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use callboard_core::{
    auth::Nonce,
    body,
    broker::{Action, Broker, Endpoint, Event, Identity, Settings},
    time::Time,
    wire::{
        Bundler, Envelope,
        envelope::{Dispatch, Effect, Priority, Reply, Request, RequestFlags},
        handshake::{Hello, MethodLimits, MethodOffer, Offer, Register, Role},
        ids::{BrokerId, CallNumber, ConnectionId, ConnectionNumber, DispatchNumber, SessionId, StartId},
        method::MethodName,
        streams::{Streams, Style},
    },
};

const SLOTS: u32 = 4;
/// How long a call runs.
const RUN_TIME: Duration = Duration::from_millis(10);
/// The calls that the light client makes at once.
const BURST: u64 = 16;

/// A broker, one worker and the clients.
struct World {
    broker: Broker,
    now: Time,
    worker: ConnectionId,
    /// The running calls by their end.
    running: BTreeSet<(Time, DispatchNumber)>,
    /// When each open call was made, and the next number of each caller.
    made: BTreeMap<(ConnectionId, u64), Time>,
    next: BTreeMap<ConnectionId, u64>,
    heavy: Vec<ConnectionId>,
    light: ConnectionId,
    /// The latency of each call of the light client without its running time.
    waits: Vec<Duration>,
}

impl World {
    fn new(heavy_sessions: u64, heavy_key: &'static str) -> World {
        let identity = Identity { broker: BrokerId([1; 16]), start: StartId([2; 16]), fences_from: 0 };
        let mut world = World {
            broker: Broker::new(Settings::default(), identity, Time::ZERO),
            now: Time::ZERO,
            worker: ConnectionId(1),
            running: BTreeSet::new(),
            made: BTreeMap::new(),
            next: BTreeMap::new(),
            heavy: (0..heavy_sessions).map(|number| ConnectionId(100 + number)).collect(),
            light: ConnectionId(2),
            waits: Vec::new(),
        };
        world.connect(world.worker, Endpoint::Backend, Role::Worker, "192.0.2.3");
        world.register();
        world.connect(world.light, Endpoint::Frontend, Role::Client, "192.0.2.1");
        for connection in world.heavy.clone() {
            world.connect(connection, Endpoint::Frontend, Role::Client, heavy_key);
        }
        world
    }

    fn connect(&mut self, connection: ConnectionId, endpoint: Endpoint, role: Role, rate_limit_key: &'static str) {
        let mut session = SessionId([7; 16]);
        session.0[..8].copy_from_slice(&connection.0.to_be_bytes());
        let hello = Hello {
            versions: (2, 2),
            role,
            session,
            connection: ConnectionNumber(1),
            heartbeat_ms: 600_000,
            instance: String::new(),
            pool: None,
            pool_pid: None,
            pid: None,
            host: String::new(),
            capabilities: Vec::new(),
            message_bytes_max: None,
            nonce: None,
        };
        let (nonce, until) = (Nonce([0; 32]), self.now + Duration::from_secs(5));
        self.handle(Event::Opened {
            connection,
            endpoint,
            address: rate_limit_key.into(),
            rate_limit_key: rate_limit_key.into(),
            channel: None,
            nonce,
            until,
        });
        self.send(connection, &Envelope::Hello(body::encode(&hello).unwrap()));
        self.send(connection, &Envelope::Proof(Bytes::new()));
    }

    fn register(&mut self) {
        let method = MethodOffer {
            name: "add".to_owned(),
            effect: Effect::Read,
            arguments: Vec::new(),
            style: Style::Unary,
            limits: MethodLimits::default(),
        };
        let methods = vec![method];
        let offer = Offer {
            service: "calc".to_owned(),
            slots: SLOTS,
            free: SLOTS,
            prefetch: 0,
            methods,
            keys: Vec::new(),
            contract: None,
        };
        let register = Register { offers: vec![offer], ..Register::default() };
        self.send(self.worker, &Envelope::Register(body::encode(&register).unwrap()));
    }

    fn handle(&mut self, event: Event) {
        let mut out = Vec::new();
        self.broker.handle_event(self.now, event, &mut out);
        self.apply(out);
    }

    fn send(&mut self, connection: ConnectionId, envelope: &Envelope) {
        let mut bundler = Bundler::new();
        bundler.push(envelope);
        let messages: Vec<_> = bundler.take().collect();
        for frames in messages {
            let mut out = Vec::new();
            self.broker.handle_message(self.now, connection, &frames.to_vec(), &mut out);
            self.apply(out);
        }
    }

    fn apply(&mut self, out: Vec<Action>) {
        for action in out {
            match action {
                Action::Send(_, Envelope::Dispatch(Dispatch { number, .. })) => {
                    self.running.insert((self.now + RUN_TIME, number));
                }
                Action::Send(connection, Envelope::Reply(reply)) => self.on_reply(connection, reply),
                Action::Close(connection) => panic!("{connection} was disconnected"),
                _ => {}
            }
        }
    }

    fn on_reply(&mut self, connection: ConnectionId, reply: Reply) {
        reply.outcome.unwrap();
        let made = self.made.remove(&(connection, reply.number)).unwrap();
        if connection == self.light {
            self.waits.push(self.now.since(made) - RUN_TIME);
        } else {
            self.call(connection);
        }
    }

    fn call(&mut self, connection: ConnectionId) {
        let next = self.next.entry(connection).or_insert(1);
        let number = *next;
        *next += 1;
        self.made.insert((connection, number), self.now);
        let request = Request {
            number: CallNumber(number),
            method: MethodName::parse("calc.add").unwrap(),
            timeout: None,
            effect: None,
            key: None,
            priority: Priority::Normal,
            flags: RequestFlags::default(),
            streams: Streams::NONE,
            done_below: CallNumber(0),
            extensions: Default::default(),
            body: Bytes::from_static(&[0x80]),
        };
        self.send(connection, &Envelope::Request(request));
    }

    /// Advances to the end of the next running call.
    fn step(&mut self) {
        let (at, number) = self.running.pop_first().unwrap();
        self.now = at;
        self.handle(Event::Timeout);
        let outcome = Ok(Bytes::from_static(&[0]));
        let reply =
            Reply { number: number.0, outcome, credit: None, handler_time: None, extensions: Default::default() };
        self.send(self.worker, &Envelope::Reply(reply));
    }

    /// Returns the 99th percentile of the waiting time of the light client, over that number of bursts.
    fn p99(mut self, bursts: u64) -> Duration {
        for connection in self.heavy.clone() {
            (0..4).for_each(|_| self.call(connection));
        }
        // The calls of the slots end at different times, as in a real worker.
        self.running =
            (1..).zip(&self.running).map(|(at, &(_, number))| (self.now + RUN_TIME * at / SLOTS, number)).collect();
        for burst in 1..=bursts {
            (0..BURST).for_each(|_| self.call(self.light));
            while self.waits.len() as u64 != burst * BURST {
                self.step();
            }
        }
        self.waits.sort_unstable();
        self.waits[self.waits.len() * 99 / 100]
    }
}

#[test]
fn a_light_client_waits_at_most_three_times_as_long_beside_a_tenant_with_a_thousand_sessions() {
    let (alone, beside) = (World::new(0, "").p99(100), World::new(1_000, "192.0.2.2").p99(100));
    assert!(alone >= RUN_TIME, "the light client waits for its own calls");
    assert!(beside <= alone * 3, "alone {alone:?}, beside the heavy tenant {beside:?}");
}

#[test]
fn a_light_client_of_the_same_tenant_waits_behind_its_thousand_sessions() {
    let (alone, beside) = (World::new(0, "").p99(1), World::new(1_000, "192.0.2.1").p99(1));
    assert!(
        beside > alone * 3,
        "the load of the heavy tenant is too small for this test: alone {alone:?}, beside it {beside:?}"
    );
}
