//! The target `handshake`: what is said before anybody is let in.

use std::time::Duration;

use bytes::Bytes;
use callboard_core::{
    body,
    broker::Endpoint,
    time::Time,
    wire::{
        Envelope,
        handshake::{Challenge, Hello, Role},
        ids::ConnectionId,
        limits::HANDSHAKE_TIMEOUT,
    },
};

use super::{
    broker::{BrokerHost, Done, Stage},
    client::ClientHost,
    peer::{Did, Peer, Socket},
    said,
    script::Script,
    worker::WorkerHost,
};

/// A long input would only be slow.
const STEPS_MAX: usize = 60;

/// The first byte says who is spoken to (the broker at one of its doors, or a peer in the broker's stead), and whether
/// that one has a key.
pub fn handshake(input: &[u8]) {
    let mut script = Script::new(input);
    let who = script.below(8);
    let keyed = who >= 4;
    let key = keyed.then(said::key);
    match who % 4 {
        0 => Door::new(Endpoint::Frontend, Role::Client, keyed).run(&mut script),
        1 => Door::new(Endpoint::Backend, Role::Worker, keyed).run(&mut script),
        2 => Home::new(ClientHost::new(1, key), keyed).run(&mut script),
        _ => Home::new(WorkerHost::new(1, true, key), keyed).run(&mut script),
    }
}

/// A broker with one connection, at one of its doors.
struct Door {
    broker: BrokerHost,
    now: Time,
    endpoint: Endpoint,
    role: Role,
    connection: ConnectionId,
    opened: Time,
}

impl Door {
    fn new(endpoint: Endpoint, role: Role, keyed: bool) -> Door {
        let now = Time::from_micros(1);
        let mut door = Door {
            broker: BrokerHost::new(0, keyed, now),
            now,
            endpoint,
            role,
            connection: ConnectionId(0),
            opened: now,
        };
        door.open();
        door
    }

    fn open(&mut self) {
        self.broker.closed(self.now, self.connection);
        self.connection = ConnectionId(self.connection.0 + 1);
        self.opened = self.now;
        self.broker.opened(self.now, self.connection, self.endpoint);
    }

    fn run(&mut self, script: &mut Script<'_>) {
        for _ in 0..STEPS_MAX {
            if script.is_over() || self.broker.stopped {
                return;
            }
            self.step(script);
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.below(12) {
            0 | 1 => self.hear(&said::raw_message(script)),
            2 => self.say(&Envelope::Hello(script.bytes())),
            3 | 4 => self.say(&said::hello(script, self.role)),
            5 => self.say(&Envelope::Proof(Bytes::new())),
            6 => self.say(&self.broker.right_proof(self.connection)),
            7 => self.say(&Envelope::Proof(script.bytes())),
            8 => self.say(&Envelope::Register(script.bytes())),
            9 => {
                let register = body::encode(&said::register(script)).expect("a registration has a CBOR form");
                self.say(&Envelope::Register(register));
            }
            10 => self.pass(script.span()),
            _ => self.open(),
        }
    }

    fn say(&mut self, envelope: &Envelope) {
        said::messages(envelope).iter().for_each(|frames| self.hear(frames));
    }

    /// Says it on the connection; on a new one, if the broker has closed that.
    fn hear(&mut self, frames: &[Bytes]) {
        if self.broker.stage(self.connection).is_none() {
            self.open();
        }
        let done = self.broker.receive(self.now, self.connection, frames);
        check_words(&done);
    }

    /// Time passes. Nobody stands in the door for longer than a handshake may take.
    fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        self.broker.pass(self.now, until);
        self.now = until;
        let waits =
            matches!(self.broker.stage(self.connection), Some(Stage::Silent | Stage::Challenged | Stage::Distrusted));
        assert!(!waits || self.now.since(self.opened) < HANDSHAKE_TIMEOUT, "a handshake ends in time");
    }
}

/// Who is sent away is told why, and told last.
fn check_words(done: &[Done]) {
    if let Some(at) = done.iter().position(|done| matches!(done, Done::Closed(_))) {
        let told = done[..at].iter().any(|done| matches!(done, Done::Said(_, Envelope::Goodbye(_))));
        assert!(told, "who is sent away is told why");
    }
}

/// A client or a worker whose broker says what the script says.
struct Home<P> {
    peer: P,
    keyed: bool,
    now: Time,
    connections: u64,
    /// What it said on this connection, and what it was asked.
    hello: Option<Hello>,
    challenge: Challenge,
    /// Whether it was told on this connection what only who knows the key can tell.
    proved: bool,
}

impl<P: Peer> Home<P> {
    fn new(peer: P, keyed: bool) -> Home<P> {
        let (now, challenge) = (Time::from_micros(1), said::challenge(0));
        Home { peer, keyed, now, connections: 0, hello: None, challenge, proved: false }
    }

    fn run(&mut self, script: &mut Script<'_>) {
        for _ in 0..STEPS_MAX {
            if script.is_over() || self.peer.is_over() {
                return;
            }
            self.connect();
            self.step(script);
        }
    }

    /// Its socket is there as soon as it wants one.
    fn connect(&mut self) {
        self.pass(Duration::ZERO);
        match *self.peer.socket() {
            Socket::Asked => {
                self.connections += 1;
                *self.peer.socket() = Socket::Open(ConnectionId(self.connections));
                let did = self.peer.connected(self.now, said::nonce(self.connections));
                let [Did::Said(Envelope::Hello(hello))] = &did[..] else { panic!("hello comes first, and alone") };
                let hello: Hello = body::decode(hello).expect("its hello can be read");
                assert_eq!(hello.nonce.is_some(), self.keyed, "who has a key gives a nonce");
                (self.hello, self.proved) = (Some(hello), false);
            }
            Socket::Dropped => self.part(),
            Socket::None | Socket::Open(_) => {}
        }
    }

    fn part(&mut self) {
        *self.peer.socket() = Socket::None;
        self.peer.disconnected(self.now, 0);
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.below(10) {
            0 | 1 => self.hear(&said::raw_message(script)),
            2 | 3 => self.challenge(script),
            4 => self.say(&Envelope::Challenge(script.bytes())),
            5 => self.say(&Envelope::Welcome(script.bytes())),
            6 => self.say(&Envelope::Welcome(said::encoded(&said::welcome(script)))),
            7 => self.welcome(script),
            8 => self.pass(script.span()),
            _ => self.say(&said::to_peer(script)),
        }
    }

    /// What a broker asks that has the key, or has none.
    fn challenge(&mut self, script: &mut Script<'_>) {
        if self.keyed {
            self.challenge = said::challenge(script.number());
            self.say(&Envelope::Challenge(said::encoded(&self.challenge)));
        } else {
            self.say(&Envelope::Challenge(Bytes::new()));
        }
    }

    /// The welcome of a broker that knows the key, if there is one.
    fn welcome(&mut self, script: &mut Script<'_>) {
        let welcome = said::welcome(script);
        self.proved = true;
        let welcome = match self.hello.as_ref().filter(|_| self.keyed) {
            Some(hello) => said::proved(welcome, hello, &self.challenge),
            None => welcome,
        };
        self.say(&Envelope::Welcome(said::encoded(&welcome)));
    }

    fn say(&mut self, envelope: &Envelope) {
        said::messages(envelope).iter().for_each(|frames| self.hear(frames));
    }

    fn hear(&mut self, frames: &[Bytes]) {
        if matches!(self.peer.socket(), Socket::Open(_)) && !self.peer.is_over() {
            self.peer.receive(self.now, frames);
            assert!(!self.peer.is_connected() || !self.keyed || self.proved, "a broker that is joined knows the key");
        }
    }

    fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        self.peer.pass(self.now, until);
        self.now = until;
    }
}
