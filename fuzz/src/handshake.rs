//! The target `handshake`: what is said before anybody is let in.

use std::time::Duration;

use bytes::Bytes;
use callboard_core::{
    body,
    broker::Side,
    time::Time,
    wire::{Envelope, handshake::Role, ids::LinkId, limits::HANDSHAKE_MAX},
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

/// The first byte says who is spoken to: the broker at one of its doors, or a peer in the broker's stead.
pub fn handshake(input: &[u8]) {
    let mut script = Script::new(input);
    match script.below(4) {
        0 => Door::new(Side::Frontend, Role::Client).run(&mut script),
        1 => Door::new(Side::Backend, Role::Worker).run(&mut script),
        2 => Home::new(ClientHost::new(1)).run(&mut script),
        _ => Home::new(WorkerHost::new(1, true)).run(&mut script),
    }
}

/// A broker with one link, at one of its doors.
struct Door {
    broker: BrokerHost,
    now: Time,
    side: Side,
    role: Role,
    link: LinkId,
    opened: Time,
}

impl Door {
    fn new(side: Side, role: Role) -> Door {
        let now = Time::from_micros(1);
        let mut door = Door { broker: BrokerHost::new(0, now), now, side, role, link: LinkId(0), opened: now };
        door.open();
        door
    }

    fn open(&mut self) {
        self.broker.closed(self.now, self.link);
        self.link = LinkId(self.link.0 + 1);
        self.opened = self.now;
        self.broker.opened(self.now, self.link, self.side);
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
            5 | 6 => self.say(&Envelope::Proof(Bytes::new())),
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

    /// Says it on the link; on a new one, if the broker has closed that.
    fn hear(&mut self, frames: &[Bytes]) {
        if self.broker.stage(self.link).is_none() {
            self.open();
        }
        let done = self.broker.receive(self.now, self.link, frames);
        check_words(&done);
    }

    /// Time passes. Nobody stands in the door for longer than a handshake may take.
    fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        self.broker.pass(self.now, until);
        self.now = until;
        let waits = matches!(self.broker.stage(self.link), Some(Stage::Silent | Stage::Challenged));
        assert!(!waits || self.now.since(self.opened) < HANDSHAKE_MAX, "a handshake ends in time");
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
    now: Time,
    links: u64,
}

impl<P: Peer> Home<P> {
    fn new(peer: P) -> Home<P> {
        Home { peer, now: Time::from_micros(1), links: 0 }
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
                self.links += 1;
                *self.peer.socket() = Socket::Open(LinkId(self.links));
                let did = self.peer.connected(self.now);
                assert!(matches!(did[..], [Did::Said(Envelope::Hello(_))]), "hello comes first, and alone");
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
            2 | 3 => self.say(&Envelope::Challenge(Bytes::new())),
            4 => self.say(&Envelope::Challenge(script.bytes())),
            5 => self.say(&Envelope::Welcome(script.bytes())),
            6 | 7 => self.say(&said::welcome(script)),
            8 => self.pass(script.span()),
            _ => self.say(&said::to_peer(script)),
        }
    }

    fn say(&mut self, envelope: &Envelope) {
        said::messages(envelope).iter().for_each(|frames| self.hear(frames));
    }

    fn hear(&mut self, frames: &[Bytes]) {
        if matches!(self.peer.socket(), Socket::Open(_)) && !self.peer.is_over() {
            self.peer.receive(self.now, frames);
        }
    }

    fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        self.peer.pass(self.now, until);
        self.now = until;
    }
}
