//! The client machine with a driver that checks its guarantees after each step.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use callboard_core::{
    auth::AuthKey,
    client::{Action, Client, Event, NewCall, Ticket, Timeout, TimeoutSource},
    peer::Settings,
    time::Time,
    wire::{envelope::Effect, ids::ConnectionId, streams::Streams},
};

use super::{
    generate,
    peer::{Peer, PeerAction, Socket},
    script::Script,
};

/// The client, and the tokens of its open calls.
#[derive(Debug)]
pub(crate) struct ClientHost {
    machine: Client<u64>,
    socket: Socket,
    open_tokens: BTreeSet<u64>,
    next: u64,
    rejected: bool,
    closed: bool,
}

impl ClientHost {
    pub(crate) fn new(session: u8, key: Option<AuthKey>) -> ClientHost {
        let machine =
            Client::new(Settings { instance: "client".to_owned(), key, ..Settings::new(generate::session(session)) });
        ClientHost {
            machine,
            socket: Socket::None,
            open_tokens: BTreeSet::new(),
            next: 0,
            rejected: false,
            closed: false,
        }
    }

    /// Makes a call.
    pub(crate) fn call(&mut self, now: Time, script: &mut Script<'_>) -> Vec<PeerAction> {
        self.next += 1;
        self.open_tokens.insert(self.next);
        let call = NewCall {
            ticket: Ticket(self.next),
            token: self.next,
            method: generate::method(script),
            body: generate::body_of_some_size(script),
            extensions: generate::extensions(script),
            made: now,
            timeout: generate::timeout(script).map(|span| Timeout { span, source: TimeoutSource::Call }),
            effect: script.pick(&[None, None, Some(Effect::Idempotent), Some(Effect::Once)]),
            wait_for_ready: script.flag(),
            broadcast: script.flag(),
            cast: script.flag(),
            key: generate::affinity_key(script),
            priority: Default::default(),
            streams: Streams::NONE,
        };
        self.handle(now, Event::Call(call))
    }

    /// Cancels a call, which may have ended already.
    pub(crate) fn cancel(&mut self, now: Time, script: &mut Script<'_>) -> Vec<PeerAction> {
        self.handle(now, Event::Cancel(Ticket(script.number())))
    }

    pub(crate) fn close(&mut self, now: Time, drain: Duration) -> Vec<PeerAction> {
        self.handle(now, Event::Close { deadline: now + drain })
    }

    /// Checks that the client is closed and that all calls have ended. Its drain time must have passed.
    pub(crate) fn check_ended(&self) {
        assert!(self.closed, "a close is complete after its deadline");
        assert!(self.open_tokens.is_empty(), "every call has ended");
    }

    fn handle(&mut self, now: Time, event: Event<u64>) -> Vec<PeerAction> {
        let mut out = Vec::new();
        self.machine.handle_event(now, event, &mut out);
        self.perform(out)
    }

    fn perform(&mut self, actions: Vec<Action<u64>>) -> Vec<PeerAction> {
        let mut performed = Vec::new();
        for action in actions {
            match action {
                Action::Connect => {
                    assert!(!self.closed && !self.rejected, "a client that has ended does not connect");
                    self.socket.request();
                }
                Action::Disconnect => performed.extend(self.socket.disconnect().map(PeerAction::Disconnected)),
                Action::Send(envelope) => {
                    self.socket.check_open();
                    performed.push(PeerAction::Sent(envelope));
                }
                Action::Complete { token, .. } | Action::Release { token } => {
                    assert!(self.open_tokens.remove(&token), "a call ends once");
                }
                Action::Rejected(_) => {
                    assert!(!std::mem::replace(&mut self.rejected, true), "a client is rejected once")
                }
                Action::Closed => assert!(!std::mem::replace(&mut self.closed, true), "a client is closed once"),
                // No call of these scripts has streams. No message may cause actions of streams.
                Action::StreamCredit { .. } | Action::Items { .. } | Action::Progress { .. } => {
                    panic!("an action of a stream for a call without streams")
                }
                Action::Log(_) => {}
            }
        }
        self.machine.assert_invariants();
        assert!(
            self.machine.waiting_len() + self.machine.open_len() <= self.open_tokens.len(),
            "each call has a token"
        );
        assert!(
            !self.machine.is_connected() || matches!(self.socket, Socket::Open(_)),
            "a client with a session has an open socket"
        );
        performed
    }
}

impl Peer for ClientHost {
    fn socket(&mut self) -> &mut Socket {
        &mut self.socket
    }

    fn has_ended(&self) -> bool {
        self.closed
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.machine.poll_timeout()
    }

    fn receive(&mut self, now: Time, frames: &[Bytes]) -> Vec<PeerAction> {
        let mut out = Vec::new();
        self.machine.handle_message(now, frames, &mut out);
        self.perform(out)
    }

    fn is_connected(&self) -> bool {
        self.machine.is_connected()
    }

    fn connected(&mut self, now: Time, connection: ConnectionId) -> Vec<PeerAction> {
        let channel = generate::channel(connection).map(|channel| channel.binding);
        self.handle(now, Event::Connected { nonce: generate::nonce(connection.0), channel })
    }

    fn disconnected(&mut self, now: Time, chance: u32) -> Vec<PeerAction> {
        self.handle(now, Event::Disconnected { chance })
    }

    fn handle_timeout(&mut self, now: Time) -> Vec<PeerAction> {
        self.handle(now, Event::Timeout)
    }
}
