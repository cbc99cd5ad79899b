//! The test harness: a broker machine with scripted peers and a virtual clock.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;

use crate::{
    auth::{Channel, Nonce},
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

/// The first fencing token of the broker.
pub(super) const FIRST_FENCE: u64 = 1_000;

/// A broker, the time, and the actions that the broker has returned.
pub(super) struct Harness {
    pub(super) broker: Broker,
    pub(super) now: Time,
    /// Envelopes that the broker sent, by connection, until a test takes them.
    pub(super) sent: BTreeMap<ConnectionId, Vec<Envelope>>,
    pub(super) closed: Vec<ConnectionId>,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) stopped: bool,
    /// The rate-limit key of the next connections; it also names their tenant.
    pub(super) rate_limit_key: &'static str,
    /// The encrypted channel of the next connections.
    pub(super) channel: Option<Channel>,
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
        versions: (2, 2),
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

/// The service `calc` with `add` (read), `push` (idempotent) and `pay` (once), and the streams `count` (to the caller) and `sum`
/// (from it), both read.
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
        done_below: CallNumber(0),
        extensions: Default::default(),
        body: Bytes::from_static(&[0x80]),
    }
}

impl Harness {
    /// Creates a broker that is past its quiet time.
    pub(super) fn new() -> Harness {
        let mut harness = Harness::just_started(Settings::default());
        harness.advance(seconds(3));
        harness
    }

    /// Creates a broker that has just started, with these settings.
    pub(super) fn just_started(settings: Settings) -> Harness {
        let settings = Settings { frontend: "tcp://front".to_owned(), backend: "tcp://back".to_owned(), ..settings };
        let identity = Identity { broker: BrokerId([1; 16]), start: StartId([2; 16]), fences_from: FIRST_FENCE };
        Harness {
            broker: Broker::new(settings, identity, Time::ZERO),
            now: Time::ZERO,
            sent: BTreeMap::new(),
            closed: Vec::new(),
            diagnostics: Vec::new(),
            stopped: false,
            rate_limit_key: "192.0.2.7",
            channel: None,
            next_connection: 0,
        }
    }

    pub(super) fn apply(&mut self, out: Vec<Action>) {
        for action in out {
            match action {
                Action::Send(connection, envelope) => self.sent.entry(connection).or_default().push(envelope),
                Action::Close(connection) => self.closed.push(connection),
                Action::Log(diagnostic) => self.diagnostics.push(diagnostic),
                Action::Stopped => self.stopped = true,
                Action::Authenticated(_) => {}
            }
        }
        self.broker.assert_invariants();
    }

    pub(super) fn handle(&mut self, event: Event) {
        let mut out = Vec::new();
        self.broker.handle_event(self.now, event, &mut out);
        self.apply(out);
    }

    /// Sends an envelope from a peer to the broker, through the real codec.
    pub(super) fn send(&mut self, connection: ConnectionId, envelope: Envelope) {
        let mut bundler = Bundler::new();
        bundler.push(&envelope);
        let messages: Vec<_> = bundler.take().collect();
        for frames in messages {
            self.send_frames(connection, &frames.to_vec());
        }
    }

    pub(super) fn send_frames(&mut self, connection: ConnectionId, frames: &[Bytes]) {
        let mut out = Vec::new();
        self.broker.handle_message(self.now, connection, frames, &mut out);
        self.apply(out);
    }

    /// Takes the envelopes that a connection received since the last call, without pings.
    pub(super) fn received(&mut self, connection: ConnectionId) -> Vec<Envelope> {
        let sent = self.sent.remove(&connection).unwrap_or_default();
        sent.into_iter().filter(|envelope| !matches!(envelope, Envelope::Ping(_))).collect()
    }

    /// Advances the time in steps of 200 ms, and records activity on every connection in `alive` at each step.
    pub(super) fn advance_with(&mut self, span: Duration, alive: &[ConnectionId]) {
        let until = self.now + span;
        while self.now < until {
            self.now = (self.now + millis(200)).min(until);
            alive.iter().for_each(|&connection| self.handle(Event::Activity { connection }));
            self.handle(Event::Timeout);
        }
    }

    pub(super) fn advance(&mut self, span: Duration) {
        self.advance_with(span, &[]);
    }

    pub(super) fn open(&mut self, endpoint: Endpoint) -> ConnectionId {
        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        // A different nonce for each connection, as a random generator would give.
        let mut nonce = [0; 32];
        nonce[..8].copy_from_slice(&self.next_connection.to_be_bytes());
        let nonce = Nonce(nonce);
        let (address, until) = (format!("tcp://192.0.2.7:{connection}").into(), self.now + limits::HANDSHAKE_TIMEOUT);
        let rate_limit_key = self.rate_limit_key.into();
        self.handle(Event::Opened {
            connection,
            endpoint,
            address,
            rate_limit_key,
            channel: self.channel,
            nonce,
            until,
        });
        connection
    }

    pub(super) fn handshake(&mut self, endpoint: Endpoint, hello: &Hello) -> ConnectionId {
        let connection = self.open(endpoint);
        self.send(connection, Envelope::Hello(body::encode(hello).unwrap()));
        self.send(connection, Envelope::Proof(Bytes::new()));
        connection
    }

    pub(super) fn client(&mut self, number: u8) -> ConnectionId {
        self.reconnect_client(number, 1)
    }

    pub(super) fn reconnect_client(&mut self, number: u8, connection_number: u64) -> ConnectionId {
        let connection = self.handshake(Endpoint::Frontend, &hello(Role::Client, number, connection_number));
        self.received(connection);
        connection
    }

    pub(super) fn worker(&mut self, number: u8, offer: Offer) -> ConnectionId {
        let connection = self.handshake(Endpoint::Backend, &hello(Role::Worker, number, 1));
        self.register(connection, Register { offers: vec![offer], ..Register::default() });
        connection
    }

    pub(super) fn register(&mut self, connection: ConnectionId, register: Register) {
        self.received(connection);
        self.send(connection, Envelope::Register(body::encode(&register).unwrap()));
    }

    pub(super) fn call(&mut self, client: ConnectionId, number: u64, method: &str) {
        self.send(client, Envelope::Request(request(number, method)));
    }

    /// Takes the dispatches that a worker received since the last call, and discards its other envelopes.
    pub(super) fn dispatches(&mut self, worker: ConnectionId) -> Vec<Dispatch> {
        let dispatch = |envelope| match envelope {
            Envelope::Dispatch(dispatch) => Some(dispatch),
            _ => None,
        };
        self.received(worker).into_iter().filter_map(dispatch).collect()
    }

    pub(super) fn reply(&mut self, worker: ConnectionId, dispatch: &Dispatch, body: &'static [u8]) {
        let outcome = Ok(Bytes::from_static(body));
        let reply = Reply {
            number: dispatch.number.0,
            outcome,
            credit: None,
            handler_time: None,
            extensions: Default::default(),
        };
        self.send(worker, Envelope::Reply(reply));
    }

    /// Takes the replies that a client received since the last call, and discards its other envelopes.
    pub(super) fn replies(&mut self, client: ConnectionId) -> Vec<(u64, Result<Bytes, Failure>)> {
        let reply = |envelope| match envelope {
            Envelope::Reply(reply) => Some((reply.number, reply.outcome.map_err(|failure| *failure))),
            _ => None,
        };
        self.received(client).into_iter().filter_map(reply).collect()
    }

    /// Takes the single reply of a client, which must be a failure.
    pub(super) fn failure(&mut self, client: ConnectionId) -> Failure {
        let replies = self.replies(client);
        assert_eq!(replies.len(), 1, "{replies:?}");
        replies.into_iter().next().unwrap().1.unwrap_err()
    }

    /// Takes the reason of the goodbye with which the broker closed a connection.
    pub(super) fn disconnect_reason(&mut self, connection: ConnectionId) -> Failure {
        assert!(self.closed.contains(&connection), "the connection must be closed");
        match self.received(connection).pop() {
            Some(Envelope::Goodbye(Some(failure))) => *failure,
            other => panic!("no goodbye with a reason: {other:?}"),
        }
    }
}
