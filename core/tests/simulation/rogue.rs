//! A peer that breaks the protocol in many ways. It must harm nobody but itself.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use callboard_core::{
    auth::{Nonce, Prover, Transcript},
    body,
    broker::Endpoint,
    time::Time,
    wire::{
        Bundler, Envelope,
        bundle::{self, Recipient},
        envelope::{self, Cancel, Credit, Effect, Item, Ping, Priority, Reply, Request, RequestFlags, StreamCredit},
        handshake::{Challenge, ChallengeResponse, Hello, MethodLimits, MethodOffer, Offer, Register, Role},
        ids::{CallNumber, ConnectionId, ConnectionNumber, DispatchNumber, SessionId},
        method::MethodName,
        streams::{ItemCredit, Streams, Style},
    },
};

use super::{
    chance::Chance,
    knobs::millis,
    network::{End, Host, Parcel},
    scene::Scene,
};

/// The number in the arguments of its calls, which no caller's has.
pub(crate) const NUMBER: u64 = u64::MAX;
/// The longest pause between two of its deeds.
const PAUSE_MAX: Duration = millis(60);
const LINKS_MAX: usize = 3;

/// The rogue and its connections.
#[derive(Debug)]
pub(crate) struct Rogue {
    next: Time,
    connections: BTreeMap<ConnectionId, Manner>,
    /// What its liars have said of themselves.
    hellos: BTreeMap<ConnectionId, Hello>,
    /// The number of the last request on each connection, so that it can say more of a call that is open.
    called: BTreeMap<ConnectionId, u64>,
}

/// How it misbehaves on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// It says nothing.
    Silent,
    /// It says random bytes.
    Babbler,
    /// It joins in order, and then says anything.
    Liar(Role),
}

impl Rogue {
    pub(crate) fn new(now: Time) -> Rogue {
        Rogue { next: now, connections: BTreeMap::new(), hellos: BTreeMap::new(), called: BTreeMap::new() }
    }

    /// When it does something.
    pub(crate) fn due(&self, scene: &Scene) -> Option<Time> {
        Some(self.next).filter(|_| !scene.healing)
    }

    /// It does something.
    pub(crate) fn act(&mut self, scene: &mut Scene) {
        self.next = scene.now + scene.chance.span(PAUSE_MAX) + millis(1);
        if self.connections.len() < LINKS_MAX && scene.chance.percent(30) {
            return self.connect(scene);
        }
        let connections: Vec<_> = self.connections.iter().map(|(&connection, &manner)| (connection, manner)).collect();
        if connections.is_empty() {
            return;
        }
        let (connection, manner) = scene.chance.pick(&connections);
        if scene.chance.percent(5) {
            return self.leave(connection, scene);
        }
        let frames = match manner {
            Manner::Silent => return,
            Manner::Babbler => babble(&mut scene.chance),
            Manner::Liar(_) => lie(self.called.entry(connection).or_default(), &mut scene.chance),
        };
        self.send(connection, frames, scene);
    }

    /// The world heals: it goes away.
    pub(crate) fn go(&mut self, scene: &mut Scene) {
        for connection in std::mem::take(&mut self.connections).into_keys() {
            scene.network.close(connection, End::Peer, Some(scene.now), 0);
        }
    }

    /// Something arrived: it joins where it wants to.
    pub(crate) fn arrived(&mut self, connection: ConnectionId, parcel: &Parcel, scene: &mut Scene) {
        let Some(&manner) = self.connections.get(&connection) else { return };
        match (parcel, manner) {
            (Parcel::Closed, _) => self.leave(connection, scene),
            (Parcel::Opened, Manner::Liar(role)) => {
                let hello = hello(role, scene);
                let body = body::encode(&hello).expect("a hello has a CBOR form");
                self.hellos.insert(connection, hello);
                self.send(connection, frames_of(&Envelope::Hello(body)), scene);
            }
            (Parcel::Message(frames), Manner::Liar(role)) => {
                for envelope in bundle::read(frames, Recipient::Peer).flatten() {
                    match envelope {
                        Envelope::Challenge(challenge) => {
                            let answer = self.answer(connection, &challenge, scene);
                            self.send(connection, frames_of(&Envelope::Proof(answer)), scene);
                        }
                        Envelope::Welcome(_) if role == Role::Worker => self.send(connection, register(), scene),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    /// Proves what is asked for: liars are insiders, too, but not all of them.
    fn answer(&self, connection: ConnectionId, challenge: &Bytes, scene: &mut Scene) -> Bytes {
        let asked = body::decode::<Challenge>(challenge).ok();
        let transcript = asked.and_then(|asked| Transcript::of(self.hellos.get(&connection)?, &asked));
        let insider = scene.knobs.key().filter(|_| scene.chance.percent(80));
        let Some((transcript, key)) = transcript.zip(insider) else { return Bytes::new() };
        let proof = transcript.prove(Prover::Peer, &key);
        body::encode(&ChallengeResponse { proof }).expect("a proof has a CBOR form")
    }

    fn connect(&mut self, scene: &mut Scene) {
        let (endpoint, role) =
            scene.chance.pick(&[(Endpoint::Frontend, Role::Client), (Endpoint::Backend, Role::Worker)]);
        let liar = Manner::Liar(role);
        let manner = scene.chance.pick(&[Manner::Silent, Manner::Babbler, liar, liar, liar]);
        let at = scene.arrival();
        let connection = scene.network.connect(Host::Rogue, endpoint, at);
        self.connections.insert(connection, manner);
    }

    fn leave(&mut self, connection: ConnectionId, scene: &mut Scene) {
        self.connections.remove(&connection);
        self.hellos.remove(&connection);
        self.called.remove(&connection);
        scene.network.close(connection, End::Peer, Some(scene.now), 0);
    }

    fn send(&mut self, connection: ConnectionId, frames: Vec<Bytes>, scene: &mut Scene) {
        let at = scene.arrival();
        scene.network.send(connection, End::Broker, at, Parcel::Message(frames));
    }
}

fn babble(chance: &mut Chance) -> Vec<Bytes> {
    let frame = |chance: &mut Chance| {
        let len = chance.place(100);
        Bytes::from((0..len).map(|_| chance.next().to_le_bytes()[0]).collect::<Vec<u8>>())
    };
    (0..chance.place(4)).map(|_| frame(chance)).collect()
}

/// Something that a peer could say, in the wrong place, of the wrong call, or with some bytes changed.
fn lie(called: &mut u64, chance: &mut Chance) -> Vec<Bytes> {
    let mut said = vec![envelope(*called, chance)];
    if let Envelope::Request(request) = &said[0] {
        *called = request.number.0;
        // Calls are short, and something has to be said of them while they are open.
        said.extend(chance.percent(30).then(|| of_a_stream(*called, chance)));
    }
    let mut frames = bundle_of(&said);
    if chance.percent(30) {
        let mut bytes = frames[0].to_vec();
        for _ in 0..=chance.place(3) {
            let at = chance.place(bytes.len());
            bytes[at] = chance.next().to_le_bytes()[0];
        }
        frames[0] = bytes.into();
    }
    frames
}

fn envelope(called: u64, chance: &mut Chance) -> Envelope {
    let number = chance.below(200);
    let done_below = chance.percent(30).then(|| CallNumber(chance.below(200)));
    match chance.below(17) {
        0..=3 => request(number, done_below, chance),
        4 => Envelope::Cancel(Cancel { number, done_below }),
        5 => Envelope::Ping(Ping { number, done_below }),
        6 => {
            let outcome = Ok(body::encode(&(NUMBER, 1)).expect("a pair has a CBOR form"));
            Envelope::Reply(Reply { number, outcome, credit: None, extensions: Bytes::new() })
        }
        7 => Envelope::Handback(DispatchNumber(number)),
        8 => Envelope::Started(DispatchNumber(number)),
        9 => Envelope::Credit(Credit { calls: chance.pick(&[1, 1000, u32::MAX]), bytes: 0, offer: 0 }),
        10 => Envelope::Drain,
        11 => Envelope::Pong(number),
        12..=15 => of_a_stream(if chance.percent(70) { called } else { number }, chance),
        _ => Envelope::Goodbye(None),
    }
}

/// A word on a call's streams or progress, whether it has any or not.
fn of_a_stream(number: u64, chance: &mut Chance) -> Envelope {
    let body = body::encode(&NUMBER).expect("a number has a CBOR form");
    match chance.below(4) {
        0 => Envelope::Item(Item { number, sequence: chance.below(3), latest: None, body }),
        1 => Envelope::End(envelope::End { number, items: chance.below(3) }),
        2 => {
            let credit =
                chance.pick(&[ItemCredit::NONE, ItemCredit::WINDOW, ItemCredit { items: u32::MAX, bytes: u64::MAX }]);
            Envelope::StreamCredit(StreamCredit { number, credit })
        }
        _ => Envelope::Progress(number, body),
    }
}

fn request(number: u64, done_below: Option<CallNumber>, chance: &mut Chance) -> Envelope {
    let methods = ["alpha.fetch", "alpha.watch", "beta.two.chat", "rogue.thing", "callboard.status"];
    let method = chance.pick(&methods);
    let flags = RequestFlags::from_bits(chance.below(16)).expect("four bits are known");
    Envelope::Request(Request {
        number: CallNumber(number),
        method: MethodName::parse(method).expect("it is a good name"),
        // Without a time-out, a cast that waits for what no worker serves waits for ever: its sender's loss does not end it.
        timeout: (flags.wait_for_ready || chance.percent(50)).then(|| chance.span(millis(300))),
        effect: None,
        priority: chance.pick(&[Priority::Low, Priority::Normal, Priority::High]),
        flags,
        key: None,
        streams: if flags.cast || flags.broadcast && chance.percent(80) {
            Streams::NONE
        } else {
            Streams::from_bits(chance.below(8)).expect("they are known")
        },
        done_below,
        extensions: Bytes::new(),
        body: body::encode(&(NUMBER, serde_bytes::Bytes::new(b"x"))).expect("a pair has a CBOR form"),
    })
}

fn hello(role: Role, scene: &mut Scene) -> Hello {
    Hello {
        versions: (1, 1),
        role,
        session: SessionId(scene.chance.bytes()),
        connection: ConnectionNumber(scene.chance.below(3)),
        heartbeat_ms: 1_000,
        instance: "rogue".to_owned(),
        pool: None,
        pool_pid: None,
        pid: None,
        host: String::new(),
        capabilities: Vec::new(),
        message_bytes_max: None,
        nonce: scene.knobs.keyed.then(|| Nonce(scene.chance.bytes())),
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
    let register = Register { offers: vec![offer], exclusive: false };
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
