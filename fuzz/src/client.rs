//! The client machine, run as its driver would, with what it owes to its callers checked at each step.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use callboard_core::{
    auth::{AuthKey, Nonce},
    client::{Action, Client, Event, NewCall, Ticket, Timeout, TimeoutSource},
    peer::Settings,
    time::Time,
    wire::{envelope::Effect, streams::Streams},
};

use super::{
    peer::{Did, Peer, Socket},
    said,
    script::Script,
};

/// The client, and the tokens that it has not given back.
#[derive(Debug)]
pub(crate) struct ClientHost {
    machine: Client<u64>,
    socket: Socket,
    owed: BTreeSet<u64>,
    next: u64,
    refused: bool,
    closed: bool,
}

impl ClientHost {
    pub(crate) fn new(session: u8, key: Option<AuthKey>) -> ClientHost {
        let machine =
            Client::new(Settings { instance: "client".to_owned(), key, ..Settings::new(said::session(session)) });
        ClientHost { machine, socket: Socket::None, owed: BTreeSet::new(), next: 0, refused: false, closed: false }
    }

    /// Somebody wants a call made.
    pub(crate) fn call(&mut self, now: Time, script: &mut Script<'_>) -> Vec<Did> {
        self.next += 1;
        self.owed.insert(self.next);
        let call = NewCall {
            ticket: Ticket(self.next),
            token: self.next,
            method: said::method(script),
            body: said::body_of_some_size(script),
            extensions: said::extensions(script),
            made: now,
            timeout: said::timeout(script).map(|span| Timeout { span, source: TimeoutSource::Call }),
            effect: script.pick(&[None, None, Some(Effect::Idempotent), Some(Effect::Once)]),
            wait_for_ready: script.flag(),
            broadcast: script.flag(),
            cast: script.flag(),
            key: said::affinity_key(script),
            priority: Default::default(),
            streams: Streams::NONE,
        };
        self.handle(now, Event::Call(call))
    }

    /// A caller gives up, perhaps one whose call has ended.
    pub(crate) fn cancel(&mut self, now: Time, script: &mut Script<'_>) -> Vec<Did> {
        self.handle(now, Event::Cancel(Ticket(script.number())))
    }

    pub(crate) fn close(&mut self, now: Time, patience: Duration) -> Vec<Did> {
        self.handle(now, Event::Close { deadline: now + patience })
    }

    /// It was closed and had time: nobody waits for anything any more.
    pub(crate) fn check_ended(&self) {
        assert!(self.closed, "a close is complete when its time is up");
        assert!(self.owed.is_empty(), "every call has ended");
    }

    fn handle(&mut self, now: Time, event: Event<u64>) -> Vec<Did> {
        let mut out = Vec::new();
        self.machine.handle_event(now, event, &mut out);
        self.perform(out)
    }

    fn perform(&mut self, actions: Vec<Action<u64>>) -> Vec<Did> {
        let mut did = Vec::new();
        for action in actions {
            match action {
                Action::Connect => {
                    assert!(!self.closed && !self.refused, "who has ended does not come back");
                    self.socket.ask();
                }
                Action::Disconnect => did.extend(self.socket.drop_it().map(Did::Dropped)),
                Action::Send(envelope) => {
                    self.socket.check_open();
                    did.push(Did::Said(envelope));
                }
                Action::Complete { token, .. } | Action::Release { token } => {
                    assert!(self.owed.remove(&token), "a call ends once");
                }
                Action::Rejected(_) => assert!(!std::mem::replace(&mut self.refused, true), "it is refused once"),
                Action::Closed => assert!(!std::mem::replace(&mut self.closed, true), "it is closed once"),
                // No call of these scripts has streams: nothing that comes may make the machine believe that one has.
                Action::StreamCredit { .. } | Action::Item { .. } | Action::Progress { .. } => {
                    panic!("a call without streams has none")
                }
                Action::Log(_) => {}
            }
        }
        self.machine.assert_invariants();
        assert!(self.machine.waiting_len() + self.machine.open_len() <= self.owed.len(), "every call is somebody's");
        assert!(!self.machine.is_connected() || matches!(self.socket, Socket::Open(_)), "who is joined is connected");
        did
    }
}

impl Peer for ClientHost {
    fn socket(&mut self) -> &mut Socket {
        &mut self.socket
    }

    fn is_over(&self) -> bool {
        self.closed
    }

    fn next_deadline(&self) -> Option<Time> {
        self.machine.poll_timeout()
    }

    fn receive(&mut self, now: Time, frames: &[Bytes]) -> Vec<Did> {
        let mut out = Vec::new();
        self.machine.handle_message(now, frames, &mut out);
        self.perform(out)
    }

    fn is_connected(&self) -> bool {
        self.machine.is_connected()
    }

    fn connected(&mut self, now: Time, nonce: Nonce) -> Vec<Did> {
        self.handle(now, Event::Connected { nonce })
    }

    fn disconnected(&mut self, now: Time, chance: u32) -> Vec<Did> {
        self.handle(now, Event::Disconnected { chance })
    }

    fn wake(&mut self, now: Time) -> Vec<Did> {
        self.handle(now, Event::Timeout)
    }
}
