//! A broker with peers that say what a test tells them to.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;

use crate::{
    auth::Nonce,
    body,
    broker::{Action, Broker, Diagnostic, Endpoint, Event, Identity, Settings},
    time::Time,
    wire::{
        Bundler, Envelope,
        envelope::{Dispatch, Effect, Priority, Reply, Request, RequestFlags},
        handshake::{Hello, MethodLimits, MethodOffer, Offer, Register, Role},
        ids::{BrokerId, CallNumber, ConnectionId, ConnectionNumber, SessionId, StartId},
        limits,
        method::MethodName,
        status::Failure,
        streams::{Streams, Style},
    },
};

/// The first fence.
pub(super) const FENCES_FROM: u64 = 1_000;

/// The broker, and what it has said to each connection.
pub(super) struct Stage {
    pub(super) broker: Broker,
    pub(super) now: Time,
    pub(super) said: BTreeMap<ConnectionId, Vec<Envelope>>,
    pub(super) closed: Vec<ConnectionId>,
    pub(super) notes: Vec<Diagnostic>,
    pub(super) stopped: bool,
    /// Whom the next connections are counted for.
    pub(super) origin: &'static str,
    next_connection: u64,
}

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn session(number: u8) -> SessionId {
    SessionId([number; 16])
}

pub(super) fn hello(role: Role, number: u8, connection_number: u64) -> Hello {
    Hello {
        versions: (1, 1),
        role,
        session: session(number),
        connection: ConnectionNumber(connection_number),
        heartbeat_ms: 1000,
        instance: format!("peer-{number}"),
        pool: None,
        pool_pid: None,
        pid: None,
        host: String::new(),
        capabilities: Vec::new(),
        message_bytes_max: None,
        nonce: None,
    }
}

/// The service `calc` with `add` (read), `push` (idempotent) and `pay` (once), and the streams `count` (to the caller) and `sum` (from
/// it), both read.
pub(super) fn calc(slots: u32) -> Offer {
    let method = |name: &str, effect| MethodOffer {
        name: name.to_owned(),
        effect,
        arguments: Vec::new(),
        style: Style::Unary,
        limits: MethodLimits::default(),
    };
    let mut methods =
        vec![method("add", Effect::Read), method("push", Effect::Idempotent), method("pay", Effect::Once)];
    let stream = |name, style| MethodOffer { style, ..method(name, Effect::Read) };
    methods.extend([stream("count", Style::Server), stream("sum", Style::Client)]);
    Offer { service: "calc".to_owned(), slots, free: slots, prefetch: 0, keys: Vec::new(), methods, contract: None }
}

pub(super) fn request(number: u64, method: &str) -> Request {
    Request {
        number: CallNumber(number),
        method: MethodName::parse(method).unwrap(),
        timeout: Some(seconds(30)),
        effect: None,
        priority: Priority::Normal,
        flags: RequestFlags::default(),
        key: None,
        streams: Streams::NONE,
        done_below: None,
        extensions: Bytes::new(),
        body: Bytes::from_static(&[0x80]),
    }
}

impl Stage {
    /// A broker past its quiet time.
    pub(super) fn new() -> Stage {
        let mut stage = Stage::young(Settings::default());
        stage.pass(seconds(3));
        stage
    }

    /// A broker that has just started.
    pub(super) fn young(settings: Settings) -> Stage {
        let settings = Settings { frontend: "tcp://front".to_owned(), backend: "tcp://back".to_owned(), ..settings };
        let identity = Identity { broker: BrokerId([1; 16]), start: StartId([2; 16]), fences_from: FENCES_FROM };
        Stage {
            broker: Broker::new(settings, identity, Time::ZERO),
            now: Time::ZERO,
            said: BTreeMap::new(),
            closed: Vec::new(),
            notes: Vec::new(),
            stopped: false,
            origin: "192.0.2.7",
            next_connection: 0,
        }
    }

    fn play(&mut self, out: Vec<Action>) {
        for action in out {
            match action {
                Action::Send(connection, envelope) => self.said.entry(connection).or_default().push(envelope),
                Action::Close(connection) => self.closed.push(connection),
                Action::Log(note) => self.notes.push(note),
                Action::Stopped => self.stopped = true,
                Action::Authenticated(_) => {}
            }
        }
        self.broker.assert_invariants();
    }

    pub(super) fn handle(&mut self, event: Event) {
        let mut out = Vec::new();
        self.broker.handle_event(self.now, event, &mut out);
        self.play(out);
    }

    /// A peer says something, through the real codec.
    pub(super) fn say(&mut self, connection: ConnectionId, envelope: Envelope) {
        let mut bundler = Bundler::new();
        bundler.push(&envelope);
        let messages: Vec<_> = bundler.take().collect();
        for frames in messages {
            self.say_frames(connection, &frames.to_vec());
        }
    }

    pub(super) fn say_frames(&mut self, connection: ConnectionId, frames: &[Bytes]) {
        let mut out = Vec::new();
        self.broker.handle_message(self.now, connection, frames, &mut out);
        self.play(out);
    }

    /// What the broker said to a connection since the last time it was asked, pings left out.
    pub(super) fn heard(&mut self, connection: ConnectionId) -> Vec<Envelope> {
        let said = self.said.remove(&connection).unwrap_or_default();
        said.into_iter().filter(|envelope| !matches!(envelope, Envelope::Ping(_))).collect()
    }

    /// Time passes, deadline by deadline, while every connection in `alive` lets itself be heard.
    pub(super) fn pass_with(&mut self, span: Duration, alive: &[ConnectionId]) {
        let until = self.now + span;
        while self.now < until {
            self.now = (self.now + millis(200)).min(until);
            alive.iter().for_each(|&connection| self.handle(Event::Activity { connection }));
            self.handle(Event::Timeout);
        }
    }

    pub(super) fn pass(&mut self, span: Duration) {
        self.pass_with(span, &[]);
    }

    pub(super) fn open(&mut self, endpoint: Endpoint) -> ConnectionId {
        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        // Another one for each connection, as chance would have it.
        let mut nonce = [0; 32];
        nonce[..8].copy_from_slice(&self.next_connection.to_be_bytes());
        let nonce = Nonce(nonce);
        let (address, until) = (format!("tcp://192.0.2.7:{connection}").into(), self.now + limits::HANDSHAKE_MAX);
        let origin = self.origin.into();
        self.handle(Event::Opened { connection, endpoint, address, rate_limit_key: origin, nonce, until });
        connection
    }

    pub(super) fn greet(&mut self, endpoint: Endpoint, hello: &Hello) -> ConnectionId {
        let connection = self.open(endpoint);
        self.say(connection, Envelope::Hello(body::encode(hello).unwrap()));
        self.say(connection, Envelope::Proof(Bytes::new()));
        connection
    }

    pub(super) fn client(&mut self, number: u8) -> ConnectionId {
        self.client_again(number, 1)
    }

    pub(super) fn client_again(&mut self, number: u8, connection_number: u64) -> ConnectionId {
        let connection = self.greet(Endpoint::Frontend, &hello(Role::Client, number, connection_number));
        self.heard(connection);
        connection
    }

    pub(super) fn worker(&mut self, number: u8, offer: Offer) -> ConnectionId {
        let connection = self.greet(Endpoint::Backend, &hello(Role::Worker, number, 1));
        self.register(connection, Register { offers: vec![offer], exclusive: false });
        connection
    }

    pub(super) fn register(&mut self, connection: ConnectionId, register: Register) {
        self.heard(connection);
        self.say(connection, Envelope::Register(body::encode(&register).unwrap()));
    }

    pub(super) fn call(&mut self, client: ConnectionId, number: u64, method: &str) {
        self.say(client, Envelope::Request(request(number, method)));
    }

    /// The dispatches that a worker was sent since the last time.
    pub(super) fn dispatches(&mut self, worker: ConnectionId) -> Vec<Dispatch> {
        let dispatch = |envelope| match envelope {
            Envelope::Dispatch(dispatch) => Some(dispatch),
            _ => None,
        };
        self.heard(worker).into_iter().filter_map(dispatch).collect()
    }

    pub(super) fn answer(&mut self, worker: ConnectionId, dispatch: &Dispatch, body: &'static [u8]) {
        let outcome = Ok(Bytes::from_static(body));
        let reply = Reply { number: dispatch.number.0, outcome, credit: None, extensions: Bytes::new() };
        self.say(worker, Envelope::Reply(reply));
    }

    /// The replies that a client was sent since the last time.
    pub(super) fn replies(&mut self, client: ConnectionId) -> Vec<(u64, Result<Bytes, Failure>)> {
        let reply = |envelope| match envelope {
            Envelope::Reply(reply) => Some((reply.number, reply.outcome.map_err(|failure| *failure))),
            _ => None,
        };
        self.heard(client).into_iter().filter_map(reply).collect()
    }

    /// The one failure that a client was told.
    pub(super) fn failure(&mut self, client: ConnectionId) -> Failure {
        let replies = self.replies(client);
        assert_eq!(replies.len(), 1, "{replies:?}");
        replies.into_iter().next().unwrap().1.unwrap_err()
    }

    /// The goodbye that a connection was told, with its reason.
    pub(super) fn sent_away(&mut self, connection: ConnectionId) -> Failure {
        assert!(self.closed.contains(&connection), "its connection is closed");
        match self.heard(connection).pop() {
            Some(Envelope::Goodbye(Some(failure))) => *failure,
            other => panic!("not sent away: {other:?}"),
        }
    }
}
