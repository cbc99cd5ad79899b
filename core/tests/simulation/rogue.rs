//! The rogue: a peer that violates the protocol in many ways. It must not harm other peers.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use callboard_core::{
    auth::{HelloTranscript, Nonce, Prover},
    body,
    broker::Endpoint,
    time::Time,
    wire::{
        Bundler, Envelope,
        bundle::{self, Recipient},
        envelope::{self, Cancel, Credit, Effect, Items, Ping, Priority, Reply, Request, RequestFlags, StreamCredit},
        handshake::{ChallengeResponse, Hello, MethodLimits, MethodOffer, Offer, Register, Role},
        ids::{CallNumber, ConnectionId, ConnectionNumber, DispatchNumber, SessionId},
        item_batch::ItemBatch,
        limits::BATCH_ITEMS_MAX,
        method::MethodName,
        streams::{ItemCredit, Streams, Style},
    },
};

use super::{
    config::millis,
    context::Context,
    network::{End, Host, Packet},
    rng::Rng,
};

/// The number in the arguments of its calls, which no other call has.
pub(crate) const NUMBER: u64 = u64::MAX;
/// The longest pause between two of its actions.
const PAUSE_MAX: Duration = millis(60);
const CONNECTIONS_MAX: usize = 3;

/// The rogue and its connections.
#[derive(Debug)]
pub(crate) struct Rogue {
    next: Time,
    connections: BTreeMap<ConnectionId, Behavior>,
    /// The transcript of each connection, which its hello begins.
    hellos: BTreeMap<ConnectionId, HelloTranscript>,
    /// The number of the last request on each connection, so that it can send more messages for an open call.
    last_request: BTreeMap<ConnectionId, u64>,
}

/// The behavior on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behavior {
    /// It sends nothing.
    Silent,
    /// It sends random bytes.
    RandomBytes,
    /// It completes the handshake, and then sends any message.
    WrongMessages(Role),
}

impl Rogue {
    pub(crate) fn new(now: Time) -> Rogue {
        Rogue { next: now, connections: BTreeMap::new(), hellos: BTreeMap::new(), last_request: BTreeMap::new() }
    }

    /// Returns when it acts next.
    pub(crate) fn due(&self, context: &Context) -> Option<Time> {
        Some(self.next).filter(|_| !context.healing)
    }

    /// Acts once.
    pub(crate) fn act(&mut self, context: &mut Context) {
        self.next = context.now + context.rng.span(PAUSE_MAX) + millis(1);
        if self.connections.len() < CONNECTIONS_MAX && context.rng.percent(30) {
            return self.connect(context);
        }
        let connections: Vec<_> =
            self.connections.iter().map(|(&connection, &behavior)| (connection, behavior)).collect();
        if connections.is_empty() {
            return;
        }
        let (connection, behavior) = context.rng.pick(&connections);
        if context.rng.percent(5) {
            return self.leave(connection, context);
        }
        let frames = match behavior {
            Behavior::Silent => return,
            Behavior::RandomBytes => random_frames(&mut context.rng),
            Behavior::WrongMessages(_) => {
                wrong_messages(self.last_request.entry(connection).or_default(), &mut context.rng)
            }
        };
        self.send(connection, frames, context);
    }

    /// Closes all its connections when the faults end.
    pub(crate) fn disconnect_all(&mut self, context: &mut Context) {
        for connection in std::mem::take(&mut self.connections).into_keys() {
            context.network.close(connection, End::Peer, Some(context.now), 0);
        }
    }

    /// Handles a packet, and completes the handshake where its behavior needs it.
    pub(crate) fn arrived(&mut self, connection: ConnectionId, packet: &Packet, context: &mut Context) {
        let Some(&behavior) = self.connections.get(&connection) else { return };
        match (packet, behavior) {
            (Packet::Closed, _) => self.leave(connection, context),
            (Packet::Opened, Behavior::WrongMessages(role)) => {
                let hello = hello(role, context);
                let body = body::encode(&hello).expect("a hello has a CBOR form");
                self.hellos.insert(connection, HelloTranscript::new(role, &body, None));
                self.send(connection, frames_of(&Envelope::Hello(body)), context);
            }
            (Packet::Message(frames), Behavior::WrongMessages(role)) => {
                for envelope in bundle::read(frames, Recipient::Peer).flatten() {
                    match envelope {
                        Envelope::Challenge(challenge) => {
                            let answer = self.answer(connection, &challenge, context);
                            self.send(connection, frames_of(&Envelope::Proof(answer)), context);
                        }
                        Envelope::Welcome(_) if role == Role::Worker => self.send(connection, register(), context),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    /// Answers a challenge. Most connections know the key, some do not.
    fn answer(&self, connection: ConnectionId, challenge: &Bytes, context: &mut Context) -> Bytes {
        let hello = self.hellos.get(&connection).filter(|_| !challenge.is_empty());
        let transcript = hello.map(|hello| hello.with_challenge(challenge));
        let own_key = context.peers.key(Host::Rogue).filter(|_| context.rng.percent(80));
        let Some((transcript, key)) = transcript.zip(own_key) else { return Bytes::new() };
        let proof = transcript.prove(Prover::Peer, &key);
        body::encode(&ChallengeResponse { proof }).expect("a proof has a CBOR form")
    }

    fn connect(&mut self, context: &mut Context) {
        let (endpoint, role) =
            context.rng.pick(&[(Endpoint::Frontend, Role::Client), (Endpoint::Backend, Role::Worker)]);
        let wrong_messages = Behavior::WrongMessages(role);
        let behavior = context.rng.pick(&[
            Behavior::Silent,
            Behavior::RandomBytes,
            wrong_messages,
            wrong_messages,
            wrong_messages,
        ]);
        let at = context.arrival();
        let connection = context.network.connect(Host::Rogue, endpoint, at);
        self.connections.insert(connection, behavior);
    }

    fn leave(&mut self, connection: ConnectionId, context: &mut Context) {
        self.connections.remove(&connection);
        self.hellos.remove(&connection);
        self.last_request.remove(&connection);
        context.network.close(connection, End::Peer, Some(context.now), 0);
    }

    fn send(&mut self, connection: ConnectionId, frames: Vec<Bytes>, context: &mut Context) {
        let at = context.arrival();
        context.network.send(connection, End::Broker, at, Packet::Message(frames));
    }
}

fn random_frames(rng: &mut Rng) -> Vec<Bytes> {
    let frame = |rng: &mut Rng| {
        let len = rng.index(100);
        Bytes::from((0..len).map(|_| rng.next().to_le_bytes()[0]).collect::<Vec<u8>>())
    };
    (0..rng.index(4)).map(|_| frame(rng)).collect()
}

/// Returns a valid message that is unexpected, for the wrong call, or with some bytes changed.
fn wrong_messages(last_request: &mut u64, rng: &mut Rng) -> Vec<Bytes> {
    let mut envelopes = vec![envelope(*last_request, rng)];
    if let Envelope::Request(request) = &envelopes[0] {
        *last_request = request.number.0;
        // Calls are short, so a stream message for the call must follow immediately.
        envelopes.extend(rng.percent(30).then(|| stream_message(*last_request, rng)));
    }
    let mut frames = bundle_of(&envelopes);
    if rng.percent(30) {
        let mut bytes = frames[0].to_vec();
        for _ in 0..=rng.index(3) {
            let at = rng.index(bytes.len());
            bytes[at] = rng.next().to_le_bytes()[0];
        }
        frames[0] = bytes.into();
    }
    frames
}

fn envelope(last_request: u64, rng: &mut Rng) -> Envelope {
    let number = rng.below(200);
    let done_below = rng.percent(30).then(|| CallNumber(rng.below(200)));
    match rng.below(17) {
        0..=3 => request(number, done_below, rng),
        4 => Envelope::Cancel(Cancel { number, done_below }),
        5 => Envelope::Ping(Ping { number, done_below }),
        6 => {
            let outcome = Ok(body::encode(&(NUMBER, 1)).expect("a pair has a CBOR form"));
            Envelope::Reply(Reply { number, outcome, credit: None, handler_time: None, extensions: Default::default() })
        }
        7 => Envelope::Handback(DispatchNumber(number)),
        8 => Envelope::Started(DispatchNumber(number)),
        9 => Envelope::Credit(Credit { calls: rng.pick(&[1, 1000, u32::MAX]), bytes: 0, offer: 0 }),
        10 => Envelope::Drain,
        11 => Envelope::Pong(number),
        12..=15 => stream_message(if rng.percent(70) { last_request } else { number }, rng),
        _ => Envelope::Goodbye(None),
    }
}

/// Returns a stream or progress message for a call, whether or not it has streams.
fn stream_message(number: u64, rng: &mut Rng) -> Envelope {
    let body = body::encode(&NUMBER).expect("a number has a CBOR form");
    match rng.below(4) {
        0 => {
            let batch = ItemBatch::new(rng.pick(&[1, 1, 2, BATCH_ITEMS_MAX]), body);
            Envelope::Items(Items { number, sequence: rng.below(3), latest: None, batch })
        }
        1 => Envelope::End(envelope::End { number, items: rng.below(3) }),
        2 => {
            let credit =
                rng.pick(&[ItemCredit::NONE, ItemCredit::WINDOW, ItemCredit { items: u32::MAX, bytes: u64::MAX }]);
            Envelope::StreamCredit(StreamCredit { number, credit })
        }
        _ => Envelope::Progress(number, body),
    }
}

fn request(number: u64, done_below: Option<CallNumber>, rng: &mut Rng) -> Envelope {
    let methods = ["alpha.fetch", "alpha.watch", "beta.two.chat", "rogue.thing", "callboard.status"];
    let method = rng.pick(&methods);
    let flags = RequestFlags::from_bits(rng.below(16)).expect("four bits are known");
    Envelope::Request(Request {
        number: CallNumber(number),
        method: MethodName::parse(method).expect("the name is valid"),
        // A cast without a timeout would wait for an unserved method forever: the loss of its sender does not end it.
        timeout: (flags.wait_for_ready || rng.percent(50)).then(|| rng.span(millis(300))),
        effect: None,
        priority: rng.pick(&[Priority::Low, Priority::Normal, Priority::High]),
        flags,
        key: None,
        streams: if flags.cast || flags.broadcast && rng.percent(80) {
            Streams::NONE
        } else {
            Streams::from_bits(rng.below(8)).expect("three bits are known")
        },
        done_below: done_below.unwrap_or_default(),
        extensions: Default::default(),
        body: body::encode(&(NUMBER, serde_bytes::Bytes::new(b"x"))).expect("a pair has a CBOR form"),
    })
}

fn hello(role: Role, context: &mut Context) -> Hello {
    Hello {
        versions: (2, 2),
        role,
        session: SessionId(context.rng.bytes()),
        connection: ConnectionNumber(context.rng.below(3)),
        heartbeat_ms: 1_000,
        instance: "rogue".to_owned(),
        pool: None,
        pool_pid: None,
        pid: None,
        host: String::new(),
        capabilities: Vec::new(),
        message_bytes_max: None,
        nonce: context.config.keyed.then(|| Nonce(context.rng.bytes())),
    }
}

fn register() -> Vec<Bytes> {
    let methods = vec![MethodOffer {
        name: "thing".to_owned(),
        effect: Effect::Read,
        arguments: Vec::new(),
        style: Style::Unary,
        limits: MethodLimits::default(),
    }];
    let offer = Offer {
        service: "rogue".to_owned(),
        slots: 2,
        free: 2,
        prefetch: 1,
        keys: Vec::new(),
        methods,
        contract: None,
    };
    let register = Register { offers: vec![offer], ..Register::default() };
    frames_of(&Envelope::Register(body::encode(&register).expect("a registration has a CBOR form")))
}

fn frames_of(envelope: &Envelope) -> Vec<Bytes> {
    bundle_of(std::slice::from_ref(envelope))
}

fn bundle_of(envelopes: &[Envelope]) -> Vec<Bytes> {
    let mut bundler = Bundler::new();
    envelopes.iter().for_each(|envelope| bundler.push(envelope));
    let mut messages = bundler.take();
    messages.next().expect("a few small envelopes make one message").to_vec()
}
