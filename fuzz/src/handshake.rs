//! The target `handshake`: the messages before a peer is accepted.

use std::time::Duration;

use bytes::Bytes;
use callboard_core::{
    auth::HelloTranscript,
    body,
    broker::Endpoint,
    time::Time,
    wire::{
        Envelope,
        handshake::{Challenge, Role, Welcome},
        ids::ConnectionId,
        limits::HANDSHAKE_TIMEOUT,
    },
};

use super::{
    broker::{BrokerAction, BrokerHost, Stage},
    client::ClientHost,
    generate,
    peer::{Peer, PeerAction, Socket},
    script::Script,
    worker::WorkerHost,
};

/// The maximum number of steps of a script. Longer ones would only be slow.
const STEPS_MAX: usize = 60;

/// The first byte selects the machine (the broker at one of its endpoints, or a client or worker), and whether it has a key.
pub fn handshake(input: &[u8]) {
    let mut script = Script::new(input);
    let variant = script.below(8);
    let keyed = variant >= 4;
    let key = keyed.then(generate::key);
    match variant % 4 {
        0 => BrokerTest::new(Endpoint::Frontend, Role::Client, keyed).run(&mut script),
        1 => BrokerTest::new(Endpoint::Backend, Role::Worker, keyed).run(&mut script),
        2 => PeerTest::new(ClientHost::new(1, key), keyed).run(&mut script),
        _ => PeerTest::new(WorkerHost::new(1, true, key), keyed).run(&mut script),
    }
}

/// A broker with one connection at one of its endpoints.
struct BrokerTest {
    broker: BrokerHost,
    now: Time,
    endpoint: Endpoint,
    role: Role,
    connection: ConnectionId,
    opened: Time,
}

impl BrokerTest {
    fn new(endpoint: Endpoint, role: Role, keyed: bool) -> BrokerTest {
        let now = Time::from_micros(1);
        let mut test = BrokerTest {
            broker: BrokerHost::new(0, keyed, now),
            now,
            endpoint,
            role,
            connection: ConnectionId(0),
            opened: now,
        };
        test.open();
        test
    }

    fn open(&mut self) {
        self.broker.closed(self.now, self.connection);
        self.connection = ConnectionId(self.connection.0 + 1);
        self.opened = self.now;
        self.broker.opened(self.now, self.connection, self.endpoint);
    }

    fn run(&mut self, script: &mut Script<'_>) {
        for _ in 0..STEPS_MAX {
            if script.has_ended() || self.broker.stopped {
                return;
            }
            self.step(script);
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.below(12) {
            0 | 1 => self.deliver(&generate::raw_message(script)),
            2 => self.send(&Envelope::Hello(script.bytes())),
            3 | 4 => self.send(&generate::hello(script, self.role)),
            5 => self.relay_proof(),
            6 => self.send(&self.broker.valid_proof(self.connection)),
            7 => self.send(&Envelope::Proof(script.bytes())),
            8 => self.send(&Envelope::Register(script.bytes())),
            9 => {
                let register = body::encode(&generate::register(script)).expect("a registration has a CBOR form");
                self.send(&Envelope::Register(register));
            }
            10 => self.advance(script.span()),
            _ => self.open(),
        }
    }

    /// Sends the proof of a peer with the key on another channel, if the connection was challenged.
    fn relay_proof(&mut self) {
        let Some(proof) = self.broker.relayed_proof(self.connection) else { return };
        self.send(&proof);
        let stage = self.broker.stage(self.connection);
        assert!(stage != Some(Stage::Authenticated), "a proof is valid on its own channel only");
    }

    fn send(&mut self, envelope: &Envelope) {
        generate::messages(envelope).iter().for_each(|frames| self.deliver(frames));
    }

    /// Delivers a message on the connection, or on a new one if the broker has closed it.
    fn deliver(&mut self, frames: &[Bytes]) {
        if self.broker.stage(self.connection).is_none() {
            self.open();
        }
        let actions = self.broker.receive(self.now, self.connection, frames);
        check_goodbye(&actions);
    }

    /// Advances the time, and checks that no handshake exceeds its timeout.
    fn advance(&mut self, span: Duration) {
        let until = self.now + span;
        self.broker.advance(self.now, until);
        self.now = until;
        let in_handshake = matches!(
            self.broker.stage(self.connection),
            Some(Stage::AwaitingHello | Stage::Challenged | Stage::Rejected)
        );
        assert!(
            !in_handshake || self.now.since(self.opened) < HANDSHAKE_TIMEOUT,
            "a handshake ends before its timeout"
        );
    }
}

/// Checks that a connection is closed only after a goodbye with the reason.
fn check_goodbye(actions: &[BrokerAction]) {
    if let Some(at) = actions.iter().position(|action| matches!(action, BrokerAction::Closed(_))) {
        let has_goodbye =
            actions[..at].iter().any(|action| matches!(action, BrokerAction::Sent(_, Envelope::Goodbye(_))));
        assert!(has_goodbye, "a rejected peer receives a goodbye with the reason");
    }
}

/// A client or a worker whose broker is the script.
struct PeerTest<P> {
    peer: P,
    keyed: bool,
    now: Time,
    connections: u64,
    /// The transcript of this connection's hello if it has a nonce, and the last challenge.
    hello: Option<HelloTranscript>,
    /// The same on another channel, as a relay between two channels would have it.
    relayed: Option<HelloTranscript>,
    challenge: Challenge,
    /// Whether a welcome with a valid proof was sent on this connection.
    proved: bool,
}

impl<P: Peer> PeerTest<P> {
    fn new(peer: P, keyed: bool) -> PeerTest<P> {
        let (now, challenge) = (Time::from_micros(1), generate::challenge(0));
        PeerTest { peer, keyed, now, connections: 0, hello: None, relayed: None, challenge, proved: false }
    }

    fn run(&mut self, script: &mut Script<'_>) {
        for _ in 0..STEPS_MAX {
            if script.has_ended() || self.peer.has_ended() {
                return;
            }
            self.connect();
            self.step(script);
        }
    }

    /// Connects the socket as soon as the peer requests it.
    fn connect(&mut self) {
        self.advance(Duration::ZERO);
        match *self.peer.socket() {
            Socket::Requested => {
                self.connections += 1;
                *self.peer.socket() = Socket::Open(ConnectionId(self.connections));
                let actions = self.peer.connected(self.now, ConnectionId(self.connections));
                let [PeerAction::Sent(Envelope::Hello(hello))] = &actions[..] else {
                    panic!("the first message is a hello")
                };
                self.hello = generate::transcript_of(hello, ConnectionId(self.connections));
                self.relayed = generate::transcript_of(hello, ConnectionId(self.connections + 1));
                assert_eq!(self.hello.is_some(), self.keyed, "a peer with a key sends a nonce");
                self.proved = false;
            }
            Socket::Disconnected => self.disconnect(),
            Socket::None | Socket::Open(_) => {}
        }
    }

    fn disconnect(&mut self) {
        *self.peer.socket() = Socket::None;
        self.peer.disconnected(self.now, 0);
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.below(11) {
            0 | 1 => self.deliver(&generate::raw_message(script)),
            2 | 3 => self.challenge(script),
            4 => self.send(&Envelope::Challenge(script.bytes())),
            5 => self.send(&Envelope::Welcome(script.bytes())),
            6 => self.send(&Envelope::Welcome(generate::encoded(&generate::welcome(script)))),
            7 => self.welcome(script),
            8 => self.relayed_welcome(script),
            9 => self.advance(script.span()),
            _ => self.send(&generate::to_peer(script)),
        }
    }

    /// Sends a valid challenge, with or without a key.
    fn challenge(&mut self, script: &mut Script<'_>) {
        if self.keyed {
            self.challenge = generate::challenge(script.number());
            self.send(&Envelope::Challenge(generate::encoded(&self.challenge)));
        } else {
            self.send(&Envelope::Challenge(Bytes::new()));
        }
    }

    /// Sends a welcome, with a valid proof if there is a key.
    fn welcome(&mut self, script: &mut Script<'_>) {
        self.proved = true;
        self.send(&self.sealed(self.hello, generate::welcome(script)));
    }

    /// Sends a welcome with the proof of a broker with the key on another channel.
    fn relayed_welcome(&mut self, script: &mut Script<'_>) {
        let was_connected = self.peer.is_connected();
        self.send(&self.sealed(self.relayed, generate::welcome(script)));
        let accepted = self.keyed && !was_connected && self.peer.is_connected();
        assert!(!accepted, "the proof in a welcome is valid on its own channel only");
    }

    fn sealed(&self, hello: Option<HelloTranscript>, welcome: Welcome) -> Envelope {
        let challenge = generate::encoded(&self.challenge);
        Envelope::Welcome(match hello {
            Some(hello) => hello.with_challenge(&challenge).seal_welcome(&generate::key(), welcome),
            None => generate::encoded(&welcome),
        })
    }

    fn send(&mut self, envelope: &Envelope) {
        generate::messages(envelope).iter().for_each(|frames| self.deliver(frames));
    }

    fn deliver(&mut self, frames: &[Bytes]) {
        if matches!(self.peer.socket(), Socket::Open(_)) && !self.peer.has_ended() {
            self.peer.receive(self.now, frames);
            assert!(
                !self.peer.is_connected() || !self.keyed || self.proved,
                "a peer accepts only a broker that has proved that it knows the key"
            );
        }
    }

    fn advance(&mut self, span: Duration) {
        let until = self.now + span;
        self.peer.advance(self.now, until);
        self.now = until;
    }
}
