//! The connection of a client or worker to its broker: the part that both machines share.
//!
//! | state | waits for | next state |
//! |---|---|---|
//! | `Backoff` | the pause before the next attempt | Connecting |
//! | `Connecting` | the socket | AwaitingChallenge |
//! | `AwaitingChallenge` | the challenge; hello was sent | AwaitingWelcome |
//! | `AwaitingWelcome` | the welcome; the proof was sent | Connected |
//! | `Connected` | any message | |
//! | `Closing` | the broker's goodbye; ours was sent | Closed |
//! | `Disconnecting` | the driver to drop the socket | Backoff |
//! | `Closed` | nothing, permanently | |

mod authentication;
mod backoff;
mod liveness;
mod settings;
#[cfg(test)]
pub(crate) mod simulated_broker;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;

pub(crate) use self::authentication::KEY_REQUIRED;
pub use self::settings::Settings;
use self::{backoff::Backoff, liveness::Liveness};
use crate::{
    auth::{ChannelBinding, HelloTranscript, Nonce, Transcript},
    body,
    time::Time,
    wire::{
        envelope::{Envelope, Ping},
        handshake::{Role, Welcome},
        ids::ConnectionNumber,
        kind::Kind,
        limits,
        status::{Code, Executed, Failure},
        versions,
    },
};

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The socket was closed, or could not be connected. The driver has the details.
    SocketClosed,
    /// Nothing was received from the broker for three of its heartbeat intervals.
    HeartbeatTimeout,
    /// The broker did not complete the handshake in time.
    HandshakeTimeout,
    /// The broker sent a goodbye that allows to reconnect later.
    Goodbye(Box<Failure>),
    /// The broker's challenge or welcome could not be decoded.
    InvalidHandshake(String),
}

/// The connection of a client or worker to its broker, over all its sockets.
///
/// It decides about the connection and returns what follows; the machine that contains it turns that into actions.
#[derive(Debug)]
pub(crate) struct Peer {
    role: Role,
    settings: Settings,
    state: State,
    connection: ConnectionNumber,
    /// The last welcome. Its start id shows whether the broker was restarted since.
    welcome: Option<Box<Welcome>>,
    liveness: Liveness,
    /// When the machine last ran.
    last_run: Time,
    backoff: Backoff,
    /// How many pings were numbered.
    pings: u64,
}

/// The state of the connection; see the table above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Backoff { until: Time },
    Connecting { until: Time },
    AwaitingChallenge { until: Time, hello: HelloTranscript },
    AwaitingWelcome { until: Time, transcript: Option<Transcript> },
    Connected { since: Time },
    Closing { until: Time },
    Disconnecting,
    Closed,
}

/// What the machine must do after an envelope.
#[derive(Debug, PartialEq)]
pub(crate) enum PeerEvent {
    /// Nothing follows.
    Ignored,
    /// This envelope is to be sent.
    Reply(Envelope),
    /// The handshake is complete.
    Connected {
        /// Whether the broker has not been restarted since the last welcome, so that it still has the session's state.
        same_start: bool,
    },
    /// The connection is over; the socket is to be dropped. The peer reconnects by itself.
    Disconnected(DisconnectReason),
    /// The broker rejected the peer; the socket is to be dropped. The peer does not reconnect.
    Rejected(Box<Failure>),
    /// The broker has handled our goodbye and everything before it; the socket is to be dropped. The peer does not reconnect.
    GoodbyeAcknowledged,
    /// An envelope of this kind is not allowed in this state.
    Unexpected(Kind),
}

/// How the machine must treat the end of a socket.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SocketClosed {
    /// The machine requested it.
    Expected,
    /// The connection is lost. The peer reconnects by itself.
    Unexpected,
    /// Goodbye had been sent. The peer does not reconnect.
    Final,
}

/// What the machine must do after a timeout.
#[derive(Debug, PartialEq)]
pub(crate) enum TimeoutAction {
    /// A socket is to be opened.
    Connect,
    /// A ping of this number is to be sent.
    Ping(u64),
    /// The connection is over; the socket is to be dropped. The peer reconnects by itself.
    Disconnect(DisconnectReason),
    /// The broker did not answer our goodbye in time; the socket is to be dropped. The peer does not reconnect.
    GiveUp,
}

impl Peer {
    pub(crate) fn new(role: Role, settings: Settings) -> Peer {
        let heartbeat = settings.heartbeat();
        Peer {
            role,
            settings,
            state: State::Backoff { until: Time::ZERO },
            connection: ConnectionNumber(0),
            welcome: None,
            liveness: Liveness::new(heartbeat),
            last_run: Time::ZERO,
            backoff: Backoff::new(heartbeat),
            pings: 0,
        }
    }

    /// Records that the machine runs at `now`. The machine calls this first, whenever it runs.
    pub(crate) fn detect_stall(&mut self, now: Time) {
        // Most events of a turn have the same time: the first of them has detected the stall, if there is one.
        if std::mem::replace(&mut self.last_run, now) == now {
            return;
        }
        if let Some(due) = self.poll_timeout() {
            self.liveness.detect_stall(now, due);
        }
    }

    /// Records that frames were received. Any frames count as activity of the broker.
    pub(crate) fn record_activity(&mut self, now: Time) {
        self.liveness.record_receive(now);
    }

    /// Records that the machine sends something.
    pub(crate) fn record_send(&mut self, now: Time) {
        self.liveness.record_send(now);
    }

    /// Starts the handshake on a connected socket. `nonce` is random and unique to this connection. `channel` is the binding of
    /// its encrypted channel, if it has one. Returns the hello to send.
    pub(crate) fn on_connected(&mut self, nonce: Nonce, channel: Option<ChannelBinding>) -> Option<Envelope> {
        let State::Connecting { until } = self.state else { return None };
        let hello = self.settings.hello(self.role, self.connection, nonce);
        let hello = body::encode(&hello).expect("a hello has a CBOR form");
        self.state = State::AwaitingChallenge { until, hello: HelloTranscript::new(self.role, &hello, channel) };
        Some(Envelope::Hello(hello))
    }

    /// Handles the end of the socket, and starts the backoff if the peer reconnects.
    pub(crate) fn on_disconnected(&mut self, now: Time, chance: u32) -> SocketClosed {
        let closed = match self.state {
            // There is no socket during a backoff: a driver that reports the same end twice is ignored.
            State::Backoff { .. } | State::Closed => return SocketClosed::Expected,
            State::Closing { .. } => {
                self.state = State::Closed;
                return SocketClosed::Final;
            }
            State::Disconnecting => SocketClosed::Expected,
            State::Connecting { .. }
            | State::AwaitingChallenge { .. }
            | State::AwaitingWelcome { .. }
            | State::Connected { .. } => SocketClosed::Unexpected,
        };
        self.reset_backoff_if_stable(now);
        self.state = State::Backoff { until: now + self.backoff.pause(chance) };
        closed
    }

    /// Handles an envelope that the machine does not handle itself.
    pub(crate) fn handle_message(&mut self, now: Time, envelope: Envelope) -> PeerEvent {
        match (self.state, envelope) {
            (State::AwaitingChallenge { until, hello }, Envelope::Challenge(challenge)) => {
                self.on_challenge(now, until, hello, &challenge)
            }
            (State::AwaitingWelcome { transcript, .. }, Envelope::Welcome(welcome)) => {
                self.on_welcome(now, transcript, &welcome)
            }
            (
                State::AwaitingChallenge { .. } | State::AwaitingWelcome { .. } | State::Connected { .. },
                Envelope::Goodbye(why),
            ) => self.on_goodbye(now, why),
            (State::Closing { .. }, Envelope::Goodbye(_)) => {
                self.state = State::Closed;
                PeerEvent::GoodbyeAcknowledged
            }
            (State::Connected { .. }, Envelope::Ping(Ping { number, .. })) => PeerEvent::Reply(Envelope::Pong(number)),
            (State::Connected { .. }, Envelope::Pong(_)) => PeerEvent::Ignored,
            (State::AwaitingChallenge { .. } | State::AwaitingWelcome { .. } | State::Connected { .. }, other) => {
                PeerEvent::Unexpected(other.kind())
            }
            // After our goodbye only its answer matters. Without a socket, this is the last message of a dropped one.
            (State::Closing { .. } | State::Backoff { .. } | State::Connecting { .. }, _) => PeerEvent::Ignored,
            (State::Disconnecting | State::Closed, _) => PeerEvent::Ignored,
        }
    }

    /// Returns what is due at `now`. The machine calls this until nothing is due.
    pub(crate) fn handle_timeout(&mut self, now: Time) -> Option<TimeoutAction> {
        match self.state {
            State::Backoff { until } if until <= now => {
                self.connection.0 += 1;
                self.state = State::Connecting { until: now + limits::HANDSHAKE_TIMEOUT };
                Some(TimeoutAction::Connect)
            }
            State::Connecting { until }
            | State::AwaitingChallenge { until, .. }
            | State::AwaitingWelcome { until, .. }
                if until <= now =>
            {
                self.state = State::Disconnecting;
                Some(TimeoutAction::Disconnect(DisconnectReason::HandshakeTimeout))
            }
            State::Connected { .. } if self.liveness.expires_at() <= now => {
                self.drop_socket(now);
                Some(TimeoutAction::Disconnect(DisconnectReason::HeartbeatTimeout))
            }
            State::Connected { .. } if self.liveness.ping_at() <= now => {
                self.liveness.record_send(now);
                Some(TimeoutAction::Ping(self.next_ping()))
            }
            State::Closing { until } if until.min(self.liveness.expires_at()) <= now => {
                self.state = State::Closed;
                Some(TimeoutAction::GiveUp)
            }
            _ => None,
        }
    }

    /// Returns the number of the next ping. Its pong proves that the broker has handled everything sent before the ping, and that
    /// everything the broker sent before the pong has arrived.
    pub(crate) fn next_ping(&mut self) -> u64 {
        self.pings += 1;
        self.pings
    }

    /// Returns when to call [`Peer::handle_timeout`] next.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            State::Backoff { until }
            | State::Connecting { until }
            | State::AwaitingChallenge { until, .. }
            | State::AwaitingWelcome { until, .. } => Some(until),
            State::Connected { .. } => Some(self.liveness.expires_at().min(self.liveness.ping_at())),
            State::Closing { until } => Some(until.min(self.liveness.expires_at())),
            State::Disconnecting | State::Closed => None,
        }
    }

    /// Records that the machine sends a goodbye, and waits until `until` for the broker's. Only while connected.
    pub(crate) fn start_closing(&mut self, until: Time) {
        debug_assert!(self.is_connected(), "only a connected peer sends a goodbye");
        self.state = State::Closing { until };
    }

    /// Ends the connection permanently. Returns whether there is a socket to be dropped.
    pub(crate) fn give_up(&mut self) -> bool {
        let has_socket = !matches!(self.state, State::Backoff { .. } | State::Disconnecting | State::Closed);
        self.state = State::Closed;
        has_socket
    }

    /// Returns whether the handshake is complete and the connection is open.
    pub(crate) fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected { .. })
    }

    /// Returns whether our goodbye waits for its answer.
    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing { .. })
    }

    /// Returns the public part of the session, with which the ids of its calls begin.
    pub(crate) fn caller(&self) -> u32 {
        self.settings.session.prefix()
    }

    /// Returns the number of the current connection, or of the last attempt.
    pub(crate) fn connection(&self) -> ConnectionNumber {
        self.connection
    }

    /// Returns the last welcome, if there was one.
    pub(crate) fn welcome(&self) -> Option<&Welcome> {
        self.welcome.as_deref()
    }

    /// Asserts what must hold after every step.
    pub(crate) fn assert_invariants(&self) {
        assert!(!self.is_connected() || self.welcome.is_some(), "a connected peer has a welcome");
        let without_socket = matches!(self.state, State::Backoff { .. } | State::Closed);
        assert!(without_socket || self.connection > ConnectionNumber(0), "a socket belongs to a numbered connection");
    }

    fn on_welcome(&mut self, now: Time, transcript: Option<Transcript>, welcome: &Bytes) -> PeerEvent {
        // A welcome is authenticated before it is decoded.
        if let Err(failure) = self.check_proof(transcript, welcome) {
            return self.reject(failure);
        }
        let welcome: Welcome = match body::decode(welcome) {
            Ok(welcome) => welcome,
            Err(error) => {
                self.drop_socket(now);
                return PeerEvent::Disconnected(DisconnectReason::InvalidHandshake(error.to_string()));
            }
        };
        if !(limits::VERSION_MIN..=limits::VERSION_MAX).contains(&welcome.version) {
            return self.reject(unsupported_version(welcome.version));
        }
        let theirs = Duration::from_millis(welcome.heartbeat_ms).clamp(limits::HEARTBEAT_MIN, limits::HEARTBEAT_MAX);
        self.liveness.start(now, theirs);
        self.state = State::Connected { since: now };
        let same_start = self.welcome.as_ref().is_some_and(|last| last.start == welcome.start);
        self.welcome = Some(Box::new(welcome));
        PeerEvent::Connected { same_start }
    }

    /// Handles a goodbye of the broker. With UNAVAILABLE, or without a reason, the peer reconnects. With any other
    /// reason it does not, because the next attempt would fail in the same way.
    fn on_goodbye(&mut self, now: Time, why: Option<Box<Failure>>) -> PeerEvent {
        match why {
            Some(failure) if failure.code != Code::Unavailable => self.reject(failure),
            Some(failure) => {
                self.drop_socket(now);
                PeerEvent::Disconnected(DisconnectReason::Goodbye(failure))
            }
            None => {
                self.drop_socket(now);
                PeerEvent::Disconnected(DisconnectReason::SocketClosed)
            }
        }
    }

    fn reject(&mut self, failure: Box<Failure>) -> PeerEvent {
        self.state = State::Closed;
        PeerEvent::Rejected(failure)
    }

    fn drop_socket(&mut self, now: Time) {
        self.reset_backoff_if_stable(now);
        self.state = State::Disconnecting;
    }

    /// Resets the backoff if the connection that ends now was up for a heartbeat. A connection that ends immediately
    /// (for example because the broker fails on our messages) must not be made again without a growing pause.
    fn reset_backoff_if_stable(&mut self, now: Time) {
        if let State::Connected { since } = self.state
            && now.since(since) >= self.settings.heartbeat()
        {
            self.backoff.reset();
        }
    }
}

fn unsupported_version(version: u32) -> Box<Failure> {
    let message = format!(
        "the broker uses version {version} of the protocol, and this program supports {}: update the older of the two",
        versions::describe(limits::VERSION_MIN, limits::VERSION_MAX)
    );
    Box::new(Failure::new(Code::FailedPrecondition, Executed::No, message))
}
