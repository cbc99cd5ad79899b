//! What client and worker have in common: the connection of a peer to its broker.
//!
//! | state | what it waits for | then |
//! |---|---|---|
//! | `Apart` | the pause before the next attempt | Connecting |
//! | `Connecting` | the socket | Greeting |
//! | `Greeting` | hello was sent: the challenge | Proving |
//! | `Proving` | proof was sent: the welcome | Joined |
//! | `Joined` | whatever comes | |
//! | `Leaving` | goodbye was sent: the broker's | Gone |
//! | `Dropping` | the driver to drop the socket | Apart |
//! | `Gone` | nothing, for good | |

mod backoff;
#[cfg(test)]
pub(crate) mod played;
mod presence;
mod proving;
mod settings;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;

pub(crate) use self::proving::KEYLESS;
pub use self::settings::Settings;
use self::{backoff::Backoff, presence::Presence};
use crate::{
    auth::{Nonce, Transcript},
    body,
    time::Time,
    wire::{
        envelope::{Envelope, Ping},
        handshake::{Role, Welcome},
        ids::ConnectionNumber,
        kind::Kind,
        limits,
        status::{Code, Executed, Failure},
    },
};

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Loss {
    /// The socket is gone, or could not be connected: the driver knows more.
    Closed,
    /// Nothing was heard from the broker for three of its intervals.
    Silent,
    /// The broker did not let us in within the time for it.
    Slow,
    /// The broker sent us away, to come back later.
    SentAway(Box<Failure>),
    /// The broker's challenge or welcome could not be read.
    Unreadable(String),
}

/// The connection of a peer to its broker: a part of the client and of the worker machine.
///
/// It decides about the connection and says what follows; the machine around it turns that into actions.
#[derive(Debug)]
pub(crate) struct Peer {
    role: Role,
    settings: Settings,
    state: State,
    connection: ConnectionNumber,
    /// What the broker said when it last let us in; its start id is the one that was seen last.
    welcome: Option<Box<Welcome>>,
    presence: Presence,
    /// When the machine was last run.
    run: Time,
    backoff: Backoff,
    pings: u64,
}

/// Where the connection is; see the table above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Apart { until: Time },
    Connecting { until: Time },
    Greeting { until: Time, nonce: Nonce },
    Proving { until: Time, transcript: Option<Transcript> },
    Joined { since: Time },
    Leaving { until: Time },
    Dropping,
    Gone,
}

/// What an envelope means to the machine.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    /// Nothing to do.
    Nothing,
    /// Send this.
    Answer(Envelope),
    /// The broker let us in.
    Joined {
        /// Whether it is the start that let us in before: its memory of us is not gone.
        same_start: bool,
    },
    /// The connection is over, the socket is to be dropped; the peer comes back by itself.
    Lost(Loss),
    /// It is over for good, the socket is to be dropped.
    Refused(Box<Failure>),
    /// Our goodbye has arrived, and all before it; the socket is to be dropped. It is over for good.
    Acknowledged,
    /// It has no place here.
    UnexpectedMessage(Kind),
}

/// What the end of a socket means to the machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parted {
    /// Nothing new: the machine asked for it.
    Expected,
    /// The connection is lost; the peer comes back by itself.
    Lost,
    /// It is over for good: goodbye had been said.
    Left,
}

/// What the passing of time means to the machine.
#[derive(Debug, PartialEq)]
pub(crate) enum Due {
    /// A socket is to be opened.
    Connect,
    /// A ping of this number is to be sent.
    Ping(u64),
    /// The connection is over, the socket is to be dropped; the peer comes back by itself.
    Lost(Loss),
    /// The broker did not answer our goodbye in time; the socket is to be dropped. It is over for good.
    Left,
}

impl Peer {
    pub(crate) fn new(role: Role, settings: Settings) -> Peer {
        let heartbeat = settings.heartbeat();
        Peer {
            role,
            settings,
            state: State::Apart { until: Time::ZERO },
            connection: ConnectionNumber(0),
            welcome: None,
            presence: Presence::new(heartbeat),
            run: Time::ZERO,
            backoff: Backoff::new(heartbeat),
            pings: 0,
        }
    }

    /// The machine is run at `now`: to be called first whenever it is.
    pub(crate) fn detect_stall(&mut self, now: Time) {
        // Most of a turn's events are of one moment: the first has seen the gap, if there is one.
        if std::mem::replace(&mut self.run, now) == now {
            return;
        }
        if let Some(due) = self.poll_timeout() {
            self.presence.notice_gap(now, due);
        }
    }

    /// Frames came, whatever is in them: a sign of life.
    pub(crate) fn record_activity(&mut self, now: Time) {
        self.presence.heard(now);
    }

    /// The machine sends something.
    pub(crate) fn record_send(&mut self, now: Time) {
        self.presence.spoke(now);
    }

    /// The socket is connected; `nonce` is chance of this connection's own. Returns the hello to send.
    pub(crate) fn connected(&mut self, nonce: Nonce) -> Option<Envelope> {
        let State::Connecting { until } = self.state else { return None };
        self.state = State::Greeting { until, nonce };
        let hello = self.settings.hello(self.role, self.connection, nonce);
        Some(Envelope::Hello(body::encode(&hello).expect("a hello has a CBOR form")))
    }

    /// The socket is gone.
    pub(crate) fn disconnected(&mut self, now: Time, chance: u32) -> Parted {
        let parted = match self.state {
            // Apart has no socket: a driver that says so twice is not believed.
            State::Apart { .. } | State::Gone => return Parted::Expected,
            State::Leaving { .. } => {
                self.state = State::Gone;
                return Parted::Left;
            }
            State::Dropping => Parted::Expected,
            State::Connecting { .. } | State::Greeting { .. } | State::Proving { .. } | State::Joined { .. } => {
                Parted::Lost
            }
        };
        self.forgive(now);
        self.state = State::Apart { until: now + self.backoff.pause(chance) };
        parted
    }

    /// An envelope that is not the machine's own affair came.
    pub(crate) fn handle_message(&mut self, now: Time, envelope: Envelope) -> Heard {
        match (self.state, envelope) {
            (State::Greeting { until, nonce }, Envelope::Challenge(challenge)) => {
                self.challenged(now, until, nonce, &challenge)
            }
            (State::Proving { transcript, .. }, Envelope::Welcome(welcome)) => self.welcomed(now, transcript, &welcome),
            (State::Greeting { .. } | State::Proving { .. } | State::Joined { .. }, Envelope::Goodbye(why)) => {
                self.sent_away(now, why)
            }
            (State::Leaving { .. }, Envelope::Goodbye(_)) => {
                self.state = State::Gone;
                Heard::Acknowledged
            }
            (State::Joined { .. }, Envelope::Ping(Ping { number, .. })) => Heard::Answer(Envelope::Pong(number)),
            (State::Joined { .. }, Envelope::Pong(_)) => Heard::Nothing,
            (State::Greeting { .. } | State::Proving { .. } | State::Joined { .. }, other) => {
                Heard::UnexpectedMessage(other.kind())
            }
            // After our goodbye nothing matters but its answer; where there is no socket, it is a dropped one's last
            // word.
            (State::Leaving { .. } | State::Apart { .. } | State::Connecting { .. }, _) => Heard::Nothing,
            (State::Dropping | State::Gone, _) => Heard::Nothing,
        }
    }

    /// Time has passed. To be called until nothing is due.
    pub(crate) fn handle_timeout(&mut self, now: Time) -> Option<Due> {
        match self.state {
            State::Apart { until } if until <= now => {
                self.connection.0 += 1;
                self.state = State::Connecting { until: now + limits::HANDSHAKE_MAX };
                Some(Due::Connect)
            }
            State::Connecting { until } | State::Greeting { until, .. } | State::Proving { until, .. }
                if until <= now =>
            {
                self.state = State::Dropping;
                Some(Due::Lost(Loss::Slow))
            }
            State::Joined { .. } if self.presence.lost_at() <= now => {
                self.drop_socket(now);
                Some(Due::Lost(Loss::Silent))
            }
            State::Joined { .. } if self.presence.speak_at() <= now => {
                self.presence.spoke(now);
                Some(Due::Ping(self.next_ping()))
            }
            State::Leaving { until } if until.min(self.presence.lost_at()) <= now => {
                self.state = State::Gone;
                Some(Due::Left)
            }
            _ => None,
        }
    }

    /// The number of another ping. Its pong tells that the broker has handled all that was sent before it, and that all has come
    /// which the broker sent before it answered.
    pub(crate) fn next_ping(&mut self) -> u64 {
        self.pings += 1;
        self.pings
    }

    /// When [`Peer::handle_timeout`] will have something to say.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            State::Apart { until }
            | State::Connecting { until }
            | State::Greeting { until, .. }
            | State::Proving { until, .. } => Some(until),
            State::Joined { .. } => Some(self.presence.lost_at().min(self.presence.speak_at())),
            State::Leaving { until } => Some(until.min(self.presence.lost_at())),
            State::Dropping | State::Gone => None,
        }
    }

    /// The machine says goodbye, and waits for the answer until then at most. Only while joined.
    pub(crate) fn leave(&mut self, until: Time) {
        debug_assert!(self.is_joined(), "goodbye is said by who was let in");
        self.state = State::Leaving { until };
    }

    /// It is over for good. Returns whether there is a socket to be dropped.
    pub(crate) fn give_up(&mut self) -> bool {
        let socket = !matches!(self.state, State::Apart { .. } | State::Dropping | State::Gone);
        self.state = State::Gone;
        socket
    }

    /// Whether the broker has let us in, and the connection holds.
    pub(crate) fn is_joined(&self) -> bool {
        matches!(self.state, State::Joined { .. })
    }

    /// Whether our goodbye waits for its answer.
    pub(crate) fn is_leaving(&self) -> bool {
        matches!(self.state, State::Leaving { .. })
    }

    /// The part of the session that people may see: what a call's name begins with.
    pub(crate) fn caller(&self) -> u32 {
        self.settings.session.tag()
    }

    /// The number of the connection that holds, or was tried last.
    pub(crate) fn connection(&self) -> ConnectionNumber {
        self.connection
    }

    /// What the broker said when it last let us in.
    pub(crate) fn welcome(&self) -> Option<&Welcome> {
        self.welcome.as_deref()
    }

    /// Asserts what must hold after every step.
    pub(crate) fn assert_invariants(&self) {
        assert!(!self.is_joined() || self.welcome.is_some(), "who is joined was welcomed");
        let apart = matches!(self.state, State::Apart { .. } | State::Gone);
        assert!(apart || self.connection > ConnectionNumber(0), "a socket belongs to a numbered connection");
    }

    fn welcomed(&mut self, now: Time, transcript: Option<Transcript>, welcome: &Bytes) -> Heard {
        let welcome: Welcome = match body::decode(welcome) {
            Ok(welcome) => welcome,
            Err(error) => {
                self.drop_socket(now);
                return Heard::Lost(Loss::Unreadable(error.to_string()));
            }
        };
        if let Err(failure) = self.check_proof(transcript, &welcome) {
            return self.refused(failure);
        }
        if !(limits::VERSION_MIN..=limits::VERSION_MAX).contains(&welcome.version) {
            return self.refused(other_version(welcome.version));
        }
        let theirs = Duration::from_millis(welcome.heartbeat_ms).clamp(limits::HEARTBEAT_MIN, limits::HEARTBEAT_MAX);
        self.presence.begin(now, theirs);
        self.state = State::Joined { since: now };
        let same_start = self.welcome.as_ref().is_some_and(|last| last.start == welcome.start);
        self.welcome = Some(Box::new(welcome));
        Heard::Joined { same_start }
    }

    /// The broker said goodbye. UNAVAILABLE, or no reason, is "come back later"; any other reason will be the same next
    /// time.
    fn sent_away(&mut self, now: Time, why: Option<Box<Failure>>) -> Heard {
        match why {
            Some(failure) if failure.code != Code::Unavailable => self.refused(failure),
            Some(failure) => {
                self.drop_socket(now);
                Heard::Lost(Loss::SentAway(failure))
            }
            None => {
                self.drop_socket(now);
                Heard::Lost(Loss::Closed)
            }
        }
    }

    fn refused(&mut self, failure: Box<Failure>) -> Heard {
        self.state = State::Gone;
        Heard::Refused(failure)
    }

    fn drop_socket(&mut self, now: Time) {
        self.forgive(now);
        self.state = State::Dropping;
    }

    /// Earlier failures do not count any more if the connection that ends now held for a heartbeat. One that ends as
    /// soon as it was made (a broker that falls over what we send) must not be made again and again without a pause.
    fn forgive(&mut self, now: Time) {
        if let State::Joined { since } = self.state
            && now.since(since) >= self.settings.heartbeat()
        {
            self.backoff.reset();
        }
    }
}

fn other_version(version: u32) -> Box<Failure> {
    let message = format!(
        "the broker speaks version {version} of the protocol, and this program versions {} to {}: update one of them",
        limits::VERSION_MIN,
        limits::VERSION_MAX
    );
    Box::new(Failure::new(Code::FailedPrecondition, Executed::No, message))
}
