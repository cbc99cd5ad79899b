//! Calls through the broker machine: a request in, a dispatch out, a reply in, a reply out.

use bytes::Bytes;
use callboard_core::{
    auth::Nonce,
    body,
    broker::{Action, Broker, Endpoint, Event, Identity, Settings},
    time::Time,
    wire::{
        Envelope,
        handshake::{Hello, Role},
        ids::{BrokerId, ConnectionId, ConnectionNumber, SessionId, StartId},
        limits::{VERSION_MAX, VERSION_MIN},
    },
};

use crate::samples::{self, HEARTBEAT, STEP};

const CLIENT: ConnectionId = ConnectionId(1);
const WORKER: ConnectionId = ConnectionId(2);

/// A broker with one client and one worker.
struct World {
    broker: Broker,
    now: Time,
    out: Vec<Action>,
}

/// Sends so many requests in one message, and the replies to all of them in another.
pub(crate) fn turns(runs: usize, calls: u32) -> Box<dyn FnMut()> {
    let mut world = World::new(calls);
    let firsts = (0..runs as u64).map(|run| 1 + run * u64::from(calls));
    let requests = firsts.clone().map(|first| samples::frames(&samples::requests(first, calls)));
    // The broker numbers dispatches from 1 on, as a client does its calls.
    let replies = firsts.map(|first| {
        let replies = (first..first + u64::from(calls)).map(samples::reply);
        samples::frames(&replies.collect::<Vec<_>>())
    });
    let mut messages = requests.zip(replies).collect::<Vec<_>>().into_iter();
    Box::new(move || {
        let (requests, replies) = messages.next().expect("a run was prepared");
        world.send(CLIENT, &requests, calls);
        world.send(WORKER, &replies, calls);
    })
}

/// Sends a request while the only slot of the worker is in use, and then a reply that frees the slot.
pub(crate) fn waiting_calls(runs: usize) -> Box<dyn FnMut()> {
    let mut world = World::new(1);
    world.send(CLIENT, &samples::frames(&[samples::request(1)]), 1);
    let runs = 1..=runs as u64;
    let requests = samples::messages(runs.clone().map(|run| samples::request_with(run + 1, run)));
    let mut messages = requests.zip(samples::messages(runs.map(samples::reply)));
    Box::new(move || {
        let (request, reply) = messages.next().expect("a run was prepared");
        world.send(CLIENT, &request, 0);
        // To the client, and the dispatch of the call that waits.
        world.send(WORKER, &reply, 2);
    })
}

impl World {
    fn new(slots: u32) -> World {
        let identity = Identity { broker: BrokerId([1; 16]), start: StartId([2; 16]), fences_from: 0 };
        let settings = Settings { heartbeat: HEARTBEAT, ..Settings::default() };
        let broker = Broker::new(settings, identity, Time::ZERO);
        let mut world = World { broker, now: samples::START, out: Vec::new() };
        world.connect(WORKER, Endpoint::Backend, Role::Worker);
        let register = body::encode(&samples::register(slots)).expect("a registration has a CBOR form");
        world.handle(WORKER, &samples::frames(&[Envelope::Register(register)]));
        world.connect(CLIENT, Endpoint::Frontend, Role::Client);
        world
    }

    fn connect(&mut self, connection: ConnectionId, endpoint: Endpoint, role: Role) {
        let hello = Hello {
            versions: (VERSION_MIN, VERSION_MAX),
            role,
            session: SessionId([connection.0 as u8; 16]),
            connection: ConnectionNumber(1),
            heartbeat_ms: u64::try_from(HEARTBEAT.as_millis()).expect("ten minutes"),
            instance: "calculator-3".to_owned(),
            pool: None,
            pool_pid: None,
            pid: None,
            host: String::new(),
            capabilities: Vec::new(),
            message_bytes_max: None,
            nonce: None,
        };
        let opened = Event::Opened {
            connection,
            endpoint,
            address: "127.0.0.1".into(),
            rate_limit_key: "127.0.0.1".into(),
            channel: None,
            nonce: Nonce([0; 32]),
            until: self.now + HEARTBEAT,
        };
        self.broker.handle_event(self.now, opened, &mut self.out);
        let hello = body::encode(&hello).expect("a hello has a CBOR form");
        self.handle(connection, &samples::frames(&[Envelope::Hello(hello)]));
        self.handle(connection, &samples::frames(&[Envelope::Proof(Bytes::new())]));
    }

    /// Handles a message of the handshake.
    fn handle(&mut self, connection: ConnectionId, frames: &[Bytes]) {
        self.broker.handle_message(self.now, connection, frames, &mut self.out);
        assert!(!self.out.iter().any(|action| matches!(action, Action::Close(_))), "the broker closed a connection");
        self.out.clear();
    }

    /// Handles a message that makes the broker send so many envelopes.
    fn send(&mut self, connection: ConnectionId, frames: &[Bytes], sent: u32) {
        self.now = self.now + STEP;
        self.broker.handle_message(self.now, connection, frames, &mut self.out);
        assert_eq!(self.out.len(), sent as usize, "{:?}", self.out);
        self.out.clear();
    }
}
