//! The broker machine with a driver that checks its guarantees after each step.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use callboard_core::{
    auth::{AuthKeys, HelloTranscript},
    body,
    broker::{Action, Broker, Diagnostic, Endpoint, Event, Identity, Settings},
    time::Time,
    wire::{
        Envelope,
        bundle::{self, Recipient},
        handshake::ChallengeResponse,
        ids::{BrokerId, ConnectionId, StartId},
        limits,
    },
};

use super::{generate, peer::TIMEOUTS_MAX};

// The limits are small, so that short scripts reach them.
const CREDIT_CALLS: u32 = 8;
const QUEUE_CALLS_MAX: usize = 6;
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// The timeout above which a cast counts as waiting forever.
const LONG_TIMEOUT: Duration = Duration::from_secs(3_600);

/// The broker, and the state of each connection in its driver.
#[derive(Debug)]
pub(crate) struct BrokerHost {
    machine: Broker,
    connections: BTreeMap<ConnectionId, Stage>,
    /// Whether the broker requires a key.
    keyed: bool,
    handshakes: BTreeMap<ConnectionId, HandshakeRecord>,
    /// The number of connections since the start, including open ones.
    pub(crate) connections_seen: usize,
    /// Whether a peer has sent a cast that may wait forever.
    pub(crate) has_endless_cast: bool,
    pub(crate) stopped: bool,
}

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    AwaitingHello,
    Challenged,
    /// The proof was invalid. The goodbye follows after a delay.
    Rejected,
    Authenticated,
}

/// The messages of a connection's handshake.
#[derive(Debug, Default)]
struct HandshakeRecord {
    /// The transcript that its hello begins, if the hello has a nonce.
    hello: Option<HelloTranscript>,
    /// The same on another channel, as a relay between two channels would have it.
    relayed: Option<HelloTranscript>,
    challenge: Option<Bytes>,
    proved: bool,
}

/// An action of the broker on a connection.
#[derive(Debug)]
pub(crate) enum BrokerAction {
    Sent(ConnectionId, Envelope),
    Closed(ConnectionId),
}

impl BrokerHost {
    pub(crate) fn new(start: u8, keyed: bool, now: Time) -> BrokerHost {
        let settings = Settings {
            frontend: "tcp://frontend".to_owned(),
            backend: "tcp://backend".to_owned(),
            credit_calls: CREDIT_CALLS,
            credit_bytes: 2 * MESSAGE_BYTES_MAX as u64,
            queue_calls_max: QUEUE_CALLS_MAX,
            queue_bytes_max: MESSAGE_BYTES_MAX,
            message_bytes_max: MESSAGE_BYTES_MAX,
            peers: keyed.then(|| AuthKeys::from(generate::key()).into()),
            ..Settings::default()
        };
        let identity = Identity { broker: BrokerId([1; 16]), start: StartId([start; 16]), fences_from: 0 };
        let machine = Broker::new(settings, identity, now);
        BrokerHost {
            machine,
            connections: BTreeMap::new(),
            keyed,
            handshakes: BTreeMap::new(),
            connections_seen: 0,
            has_endless_cast: false,
            stopped: false,
        }
    }

    /// Opens a connection.
    pub(crate) fn opened(&mut self, now: Time, connection: ConnectionId, endpoint: Endpoint) -> Vec<BrokerAction> {
        self.connections.insert(connection, Stage::AwaitingHello);
        self.connections_seen += 1;
        self.handshakes.insert(connection, HandshakeRecord::default());
        let (address, origin, nonce) = ("somewhere".into(), "anywhere".into(), generate::nonce(connection.0));
        let (channel, until) = (generate::channel(connection), now + limits::HANDSHAKE_TIMEOUT);
        self.handle(now, Event::Opened { connection, endpoint, address, rate_limit_key: origin, channel, nonce, until })
    }

    /// Closes a connection, unless the broker closed it first.
    pub(crate) fn closed(&mut self, now: Time, connection: ConnectionId) -> Vec<BrokerAction> {
        match self.connections.remove(&connection) {
            Some(_) => self.handle(now, Event::Closed { connection }),
            None => Vec::new(),
        }
    }

    pub(crate) fn record_activity(&mut self, now: Time, connection: ConnectionId) -> Vec<BrokerAction> {
        self.handle(now, Event::Activity { connection })
    }

    pub(crate) fn shut_down(&mut self, now: Time, drain: Duration) -> Vec<BrokerAction> {
        self.handle(now, Event::Shutdown { deadline: now + drain })
    }

    /// Delivers a message. Each message of an unauthenticated peer must advance its handshake, or end its connection.
    pub(crate) fn receive(&mut self, now: Time, connection: ConnectionId, frames: &[Bytes]) -> Vec<BrokerAction> {
        let before = self.stage(connection);
        for envelope in bundle::read(frames, Recipient::Broker).flatten() {
            self.has_endless_cast |= waits_forever(&envelope);
            self.record_handshake(connection, &envelope);
        }
        let mut out = Vec::new();
        self.machine.handle_message(now, connection, frames, &mut out);
        let actions = self.perform(out);
        let unauthenticated = matches!(before, Some(Stage::AwaitingHello | Stage::Challenged));
        assert!(
            self.stopped || !unauthenticated || self.stage(connection) != before,
            "a message of an unauthenticated peer advances the handshake or ends the connection"
        );
        actions
    }

    /// Records the handshake of a connection. The fuzzer cannot find a valid proof by itself.
    fn record_handshake(&mut self, connection: ConnectionId, envelope: &Envelope) {
        let expected = self.expected_response(connection);
        let Some(record) = self.handshakes.get_mut(&connection) else { return };
        match envelope {
            Envelope::Hello(hello) if record.hello.is_none() => {
                record.hello = generate::transcript_of(hello, connection);
                record.relayed = generate::transcript_of(hello, ConnectionId(connection.0 + 1));
            }
            Envelope::Proof(answer) if expected.is_some() => {
                record.proved |= body::decode::<ChallengeResponse>(answer).ok() == expected;
            }
            _ => {}
        }
    }

    /// Returns the valid response to the challenge of a connection, if it was challenged and its hello has a nonce.
    fn expected_response(&self, connection: ConnectionId) -> Option<ChallengeResponse> {
        let HandshakeRecord { hello, challenge, .. } = self.handshakes.get(&connection)?;
        Some(generate::response((*hello)?.with_challenge(challenge.as_ref()?)))
    }

    /// Returns the proof with which the broker accepts a connection, or an empty one if there was no challenge.
    pub(crate) fn valid_proof(&self, connection: ConnectionId) -> Envelope {
        Envelope::Proof(self.expected_response(connection).map_or(Bytes::new(), |answer| generate::encoded(&answer)))
    }

    /// Returns the proof of a peer with the key on another channel. `None` if the connection was accepted or not challenged.
    pub(crate) fn relayed_proof(&self, connection: ConnectionId) -> Option<Envelope> {
        let record = self.handshakes.get(&connection).filter(|record| !record.proved)?;
        let transcript = record.relayed?.with_challenge(record.challenge.as_ref()?);
        Some(Envelope::Proof(generate::encoded(&generate::response(transcript))))
    }

    /// Advances the time, and calls the machine at each of its timeouts.
    pub(crate) fn advance(&mut self, from: Time, until: Time) -> Vec<BrokerAction> {
        let (mut now, mut actions) = (from, Vec::new());
        for _ in 0..TIMEOUTS_MAX {
            let Some(due) = self.machine.poll_timeout().filter(|&due| due <= until) else { return actions };
            now = now.max(due);
            actions.extend(self.handle_timeout(now));
        }
        actions.extend(self.handle_timeout(until));
        actions
    }

    fn handle_timeout(&mut self, now: Time) -> Vec<BrokerAction> {
        let actions = self.handle(now, Event::Timeout);
        assert!(self.machine.poll_timeout().is_none_or(|next| next > now), "a timeout handles everything that is due");
        actions
    }

    pub(crate) fn stage(&self, connection: ConnectionId) -> Option<Stage> {
        self.connections.get(&connection).copied()
    }

    /// Returns the open connections.
    pub(crate) fn open_connections(&self) -> Vec<ConnectionId> {
        self.connections.keys().copied().collect()
    }

    /// Checks that the broker is empty. All peers must have left long ago, so that none can reconnect.
    pub(crate) fn check_empty(&self, now: Time) {
        if self.stopped {
            return;
        }
        let status = self.machine.status(now);
        assert_eq!((status.clients, status.workers.len()), (0, 0), "peers that left are removed");
        assert_eq!(self.machine.cached_replies(), 0, "cached replies are removed with their clients");
        assert!(self.has_endless_cast || status.open == 0, "no call outlives its client and its deadline");
    }

    fn handle(&mut self, now: Time, event: Event) -> Vec<BrokerAction> {
        let mut out = Vec::new();
        self.machine.handle_event(now, event, &mut out);
        self.perform(out)
    }

    fn perform(&mut self, actions: Vec<Action>) -> Vec<BrokerAction> {
        assert!(!self.stopped || actions.is_empty(), "a stopped broker does not act");
        let mut performed = Vec::new();
        for action in actions {
            match action {
                Action::Send(connection, envelope) => {
                    self.check_order(connection, &envelope);
                    performed.push(BrokerAction::Sent(connection, envelope));
                }
                Action::Authenticated(connection) => {
                    let before = self.connections.insert(connection, Stage::Authenticated);
                    assert_eq!(before, Some(Stage::Challenged), "an accepted peer was challenged");
                    assert!(
                        !self.keyed || self.handshakes[&connection].proved,
                        "an accepted peer has proved that it knows the key"
                    );
                }
                Action::Close(connection) => {
                    assert!(self.connections.remove(&connection).is_some(), "a connection is closed once");
                    performed.push(BrokerAction::Closed(connection));
                }
                Action::Log(Diagnostic::Unauthenticated { connection, .. }) => {
                    let before = self.connections.insert(connection, Stage::Rejected);
                    assert_eq!(before, Some(Stage::Challenged), "a rejected peer was challenged");
                }
                Action::Log(_) => {}
                Action::Stopped => self.stopped = true,
            }
        }
        self.check();
        performed
    }

    /// Checks that an unauthenticated peer receives only the handshake, or a goodbye with a reason.
    fn check_order(&mut self, connection: ConnectionId, envelope: &Envelope) {
        let stage = self.connections.get_mut(&connection).expect("the broker sends only on open connections");
        match (*stage, envelope) {
            (Stage::AwaitingHello, Envelope::Challenge(challenge)) => {
                *stage = Stage::Challenged;
                let record =
                    self.handshakes.get_mut(&connection).expect("an open connection has a record of its handshake");
                record.challenge = (!challenge.is_empty()).then(|| challenge.clone());
                assert_eq!(record.challenge.is_some(), self.keyed, "a broker with a key requires a proof");
            }
            (Stage::AwaitingHello | Stage::Challenged | Stage::Rejected, Envelope::Goodbye(Some(_)))
            | (Stage::Authenticated, _) => {}
            other => panic!("out of order: {other:?}"),
        }
    }

    fn check(&self) {
        if self.stopped {
            assert!(self.connections.is_empty(), "a stopped broker has closed its connections");
            assert_eq!(self.machine.poll_timeout(), None, "a stopped broker has no timeouts");
            return;
        }
        self.machine.assert_invariants();
    }

    /// Checks that the numbers of peers and of waiting calls are bounded.
    pub(crate) fn check_status(&self, now: Time) {
        let status = self.machine.status(now);
        assert!(status.clients + status.workers.len() <= self.connections_seen, "each peer had a connection");
        let dispatches = usize::try_from(status.counters.dispatches).expect("a script is short");
        for service in self.machine.service_statuses(now) {
            // Calls of a lost worker, and calls that were handed back, are queued above the limit.
            assert!(service.waiting <= QUEUE_CALLS_MAX + dispatches, "a queue is bounded");
        }
    }
}

/// Returns whether an envelope is a cast that waits forever. A cast waits until its deadline, even if its sender has left.
fn waits_forever(envelope: &Envelope) -> bool {
    let Envelope::Request(request) = envelope else { return false };
    request.flags.cast && request.timeout.is_none_or(|timeout| timeout > LONG_TIMEOUT)
}
