//! Fairness, in virtual time: a polite client beside somebody with a thousand sessions.
//!
//! The whole broker machine, a worker whose slots are always full, and callers that go on as soon as they are answered. What the polite
//! client waits beside the flooder is compared with what it waits alone.
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
/// How long a call is at the worker.
const EACH: Duration = Duration::from_millis(10);
/// The polite client makes so many calls at once.
const BURST: u64 = 16;

/// A broker, its one worker, and callers.
struct World {
    broker: Broker,
    now: Time,
    worker: ConnectionId,
    /// What the worker runs, by when that ends.
    running: BTreeSet<(Time, DispatchNumber)>,
    /// When each open call was made, and the next number of each caller.
    made: BTreeMap<(ConnectionId, u64), Time>,
    next: BTreeMap<ConnectionId, u64>,
    flooders: Vec<ConnectionId>,
    polite: ConnectionId,
    /// How long the polite client's calls took until they were answered, less the time at the worker.
    waits: Vec<Duration>,
}

impl World {
    fn new(flooder_sessions: u64, flooder_origin: &'static str) -> World {
        let identity = Identity { broker: BrokerId([1; 16]), start: StartId([2; 16]), fences_from: 0 };
        let mut world = World {
            broker: Broker::new(Settings::default(), identity, Time::ZERO),
            now: Time::ZERO,
            worker: ConnectionId(1),
            running: BTreeSet::new(),
            made: BTreeMap::new(),
            next: BTreeMap::new(),
            flooders: (0..flooder_sessions).map(|number| ConnectionId(100 + number)).collect(),
            polite: ConnectionId(2),
            waits: Vec::new(),
        };
        world.join(world.worker, Endpoint::Backend, Role::Worker, "192.0.2.3");
        world.register();
        world.join(world.polite, Endpoint::Frontend, Role::Client, "192.0.2.1");
        for connection in world.flooders.clone() {
            world.join(connection, Endpoint::Frontend, Role::Client, flooder_origin);
        }
        world
    }

    fn join(&mut self, connection: ConnectionId, endpoint: Endpoint, role: Role, origin: &'static str) {
        let mut session = SessionId([7; 16]);
        session.0[..8].copy_from_slice(&connection.0.to_be_bytes());
        let hello = Hello {
            versions: (1, 1),
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
            address: origin.into(),
            rate_limit_key: origin.into(),
            nonce,
            until,
        });
        self.say(connection, &Envelope::Hello(body::encode(&hello).unwrap()));
        self.say(connection, &Envelope::Proof(Bytes::new()));
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
        let register = Register { offers: vec![offer], exclusive: false };
        self.say(self.worker, &Envelope::Register(body::encode(&register).unwrap()));
    }

    fn handle(&mut self, event: Event) {
        let mut out = Vec::new();
        self.broker.handle_event(self.now, event, &mut out);
        self.play(out);
    }

    fn say(&mut self, connection: ConnectionId, envelope: &Envelope) {
        let mut bundler = Bundler::new();
        bundler.push(envelope);
        let messages: Vec<_> = bundler.take().collect();
        for frames in messages {
            let mut out = Vec::new();
            self.broker.handle_message(self.now, connection, &frames.to_vec(), &mut out);
            self.play(out);
        }
    }

    fn play(&mut self, out: Vec<Action>) {
        for action in out {
            match action {
                Action::Send(_, Envelope::Dispatch(Dispatch { number, .. })) => {
                    self.running.insert((self.now + EACH, number));
                }
                Action::Send(connection, Envelope::Reply(reply)) => self.answered(connection, reply),
                Action::Close(connection) => panic!("{connection} was sent away"),
                _ => {}
            }
        }
    }

    fn answered(&mut self, connection: ConnectionId, reply: Reply) {
        reply.outcome.unwrap();
        let made = self.made.remove(&(connection, reply.number)).unwrap();
        if connection == self.polite {
            self.waits.push(self.now.since(made) - EACH);
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
            done_below: None,
            extensions: Bytes::new(),
            body: Bytes::from_static(&[0x80]),
        };
        self.say(connection, &Envelope::Request(request));
    }

    /// The worker ends the call that it has to end next.
    fn step(&mut self) {
        let (at, number) = self.running.pop_first().unwrap();
        self.now = at;
        self.handle(Event::Timeout);
        let outcome = Ok(Bytes::from_static(&[0]));
        let reply = Reply { number: number.0, outcome, credit: None, extensions: Bytes::new() };
        self.say(self.worker, &Envelope::Reply(reply));
    }

    /// The 99th percentile of the polite client's waits, in so many bursts.
    fn p99(mut self, bursts: u64) -> Duration {
        for connection in self.flooders.clone() {
            (0..4).for_each(|_| self.call(connection));
        }
        // Every slot ends at a moment of its own, as it would.
        self.running =
            (1..).zip(&self.running).map(|(at, &(_, number))| (self.now + EACH * at / SLOTS, number)).collect();
        for burst in 1..=bursts {
            (0..BURST).for_each(|_| self.call(self.polite));
            while self.waits.len() as u64 != burst * BURST {
                self.step();
            }
        }
        self.waits.sort_unstable();
        self.waits[self.waits.len() * 99 / 100]
    }
}

#[test]
fn a_polite_client_waits_at_most_three_times_as_long_beside_a_thousand_sessions_of_another() {
    let (alone, beside) = (World::new(0, "").p99(100), World::new(1_000, "192.0.2.2").p99(100));
    assert!(alone >= EACH, "it waits for itself");
    assert!(beside <= alone * 3, "alone {alone:?}, beside the flooder {beside:?}");
}

#[test]
fn without_parties_it_would_wait_for_a_turn_of_each_session() {
    let (alone, beside) = (World::new(0, "").p99(1), World::new(1_000, "192.0.2.1").p99(1));
    assert!(beside > alone * 3, "the flooder of this test is none: alone {alone:?}, beside it {beside:?}");
}
