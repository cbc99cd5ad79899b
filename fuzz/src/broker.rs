//! The broker machine, run as its driver would, with what it owes to the driver checked at each step.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use callboard_core::{
    body,
    broker::{Action, Broker, Diagnostic, Endpoint, Event, Identity, Settings},
    time::Time,
    wire::{
        Envelope,
        bundle::{self, Recipient},
        handshake::{Challenge, ChallengeResponse, Hello},
        ids::{BrokerId, ConnectionId, StartId},
        limits,
    },
};

use super::{peer::WAKES_MAX, said};

/// Small limits, so that short scripts reach them.
const CREDIT_CALLS: u32 = 8;
const QUEUE_CALLS_MAX: usize = 6;
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// What has a longer time-out counts as waiting for ever.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// The broker and what its driver knows of each connection.
#[derive(Debug)]
pub(crate) struct BrokerHost {
    machine: Broker,
    connections: BTreeMap<ConnectionId, Stage>,
    /// Whether it asks for a key.
    keyed: bool,
    proofs: BTreeMap<ConnectionId, Proving>,
    /// Links that were there, open ones included.
    pub(crate) connections_seen: usize,
    /// Whether somebody sent a cast that may wait for ever.
    pub(crate) endless: bool,
    pub(crate) stopped: bool,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Silent,
    Challenged,
    /// It did not prove that it knows the key, and will be told so.
    Distrusted,
    Admitted,
}

/// What a connection has said and was asked on its way in.
#[derive(Debug, Default)]
struct Proving {
    hello: Option<Hello>,
    challenge: Option<Challenge>,
    proved: bool,
}

/// What the broker did to a connection.
#[derive(Debug)]
pub(crate) enum Done {
    Said(ConnectionId, Envelope),
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
            keys: keyed.then(|| said::key().into()),
            ..Settings::default()
        };
        let identity = Identity { broker: BrokerId([1; 16]), start: StartId([start; 16]), fences_from: 0 };
        let machine = Broker::new(settings, identity, now);
        BrokerHost {
            machine,
            connections: BTreeMap::new(),
            keyed,
            proofs: BTreeMap::new(),
            connections_seen: 0,
            endless: false,
            stopped: false,
        }
    }

    /// A connection is there.
    pub(crate) fn opened(&mut self, now: Time, connection: ConnectionId, endpoint: Endpoint) -> Vec<Done> {
        self.connections.insert(connection, Stage::Silent);
        self.connections_seen += 1;
        self.proofs.insert(connection, Proving::default());
        let (address, origin, nonce) = ("somewhere".into(), "anywhere".into(), said::nonce(connection.0));
        let until = now + limits::HANDSHAKE_TIMEOUT;
        self.handle(now, Event::Opened { connection, endpoint, address, rate_limit_key: origin, nonce, until })
    }

    /// A connection is gone; nothing if the broker closed it first.
    pub(crate) fn closed(&mut self, now: Time, connection: ConnectionId) -> Vec<Done> {
        match self.connections.remove(&connection) {
            Some(_) => self.handle(now, Event::Closed { connection }),
            None => Vec::new(),
        }
    }

    pub(crate) fn heard(&mut self, now: Time, connection: ConnectionId) -> Vec<Done> {
        self.handle(now, Event::Activity { connection })
    }

    pub(crate) fn shut_down(&mut self, now: Time, patience: Duration) -> Vec<Done> {
        self.handle(now, Event::Shutdown { deadline: now + patience })
    }

    /// A message came. Whatever a newcomer says, it comes on by it or is sent away.
    pub(crate) fn receive(&mut self, now: Time, connection: ConnectionId, frames: &[Bytes]) -> Vec<Done> {
        let before = self.stage(connection);
        for envelope in bundle::read(frames, Recipient::Broker).flatten() {
            self.endless |= waits_for_ever(&envelope);
            self.hear_proof(connection, &envelope);
        }
        let mut out = Vec::new();
        self.machine.handle_message(now, connection, frames, &mut out);
        let done = self.perform(out);
        let newcomer = matches!(before, Some(Stage::Silent | Stage::Challenged));
        assert!(self.stopped || !newcomer || self.stage(connection) != before, "a newcomer comes on or is sent away");
        done
    }

    /// What a newcomer proves, as the fuzzer cannot make it up.
    fn hear_proof(&mut self, connection: ConnectionId, envelope: &Envelope) {
        let right = self.answer(connection);
        let Some(proving) = self.proofs.get_mut(&connection) else { return };
        match envelope {
            Envelope::Hello(hello) if proving.hello.is_none() => proving.hello = body::decode(hello).ok(),
            Envelope::Proof(answer) if right.is_some() => {
                proving.proved |= body::decode::<ChallengeResponse>(answer).ok() == right;
            }
            _ => {}
        }
    }

    /// The right answer to what a connection was asked, if it was asked for a key and can have one.
    fn answer(&self, connection: ConnectionId) -> Option<ChallengeResponse> {
        let Proving { hello, challenge, .. } = self.proofs.get(&connection)?;
        said::answer(hello.as_ref()?, challenge.as_ref()?)
    }

    /// What a connection has to say to be let in, as far as it can.
    pub(crate) fn right_proof(&self, connection: ConnectionId) -> Envelope {
        Envelope::Proof(self.answer(connection).map_or(Bytes::new(), |answer| said::encoded(&answer)))
    }

    /// Time passes, and the machine is woken when it wants to be.
    pub(crate) fn pass(&mut self, from: Time, until: Time) -> Vec<Done> {
        let (mut now, mut done) = (from, Vec::new());
        for _ in 0..WAKES_MAX {
            let Some(due) = self.machine.poll_timeout().filter(|&due| due <= until) else { return done };
            now = now.max(due);
            done.extend(self.wake(now));
        }
        done.extend(self.wake(until));
        done
    }

    fn wake(&mut self, now: Time) -> Vec<Done> {
        let done = self.handle(now, Event::Timeout);
        assert!(self.machine.poll_timeout().is_none_or(|next| next > now), "a wake does all that is due");
        done
    }

    pub(crate) fn stage(&self, connection: ConnectionId) -> Option<Stage> {
        self.connections.get(&connection).copied()
    }

    /// The connections that are open.
    pub(crate) fn open(&self) -> Vec<ConnectionId> {
        self.connections.keys().copied().collect()
    }

    /// All have gone, and so much time has passed that nobody may come back: nothing is left of anybody.
    pub(crate) fn check_empty(&self, now: Time) {
        if self.stopped {
            return;
        }
        let status = self.machine.status(now);
        assert_eq!((status.clients, status.workers.len()), (0, 0), "who is gone is forgotten");
        assert_eq!(self.machine.cached_replies(), 0, "outcomes are forgotten with their clients");
        assert!(self.endless || status.open == 0, "no call outlives its client and its deadline");
    }

    fn handle(&mut self, now: Time, event: Event) -> Vec<Done> {
        let mut out = Vec::new();
        self.machine.handle_event(now, event, &mut out);
        self.perform(out)
    }

    fn perform(&mut self, actions: Vec<Action>) -> Vec<Done> {
        assert!(!self.stopped || actions.is_empty(), "who has stopped says nothing");
        let mut done = Vec::new();
        for action in actions {
            match action {
                Action::Send(connection, envelope) => {
                    self.check_order(connection, &envelope);
                    done.push(Done::Said(connection, envelope));
                }
                Action::Authenticated(connection) => {
                    let before = self.connections.insert(connection, Stage::Admitted);
                    assert_eq!(before, Some(Stage::Challenged), "who is let in was challenged");
                    assert!(!self.keyed || self.proofs[&connection].proved, "who is let in knows the key");
                }
                Action::Close(connection) => {
                    assert!(self.connections.remove(&connection).is_some(), "a connection is closed once");
                    done.push(Done::Closed(connection));
                }
                Action::Log(Diagnostic::Unauthenticated { connection, .. }) => {
                    let before = self.connections.insert(connection, Stage::Distrusted);
                    assert_eq!(before, Some(Stage::Challenged), "who is distrusted was challenged");
                }
                Action::Log(_) => {}
                Action::Stopped => self.stopped = true,
            }
        }
        self.check();
        done
    }

    /// Who was not let in hears nothing but the handshake and why it is sent away.
    fn check_order(&mut self, connection: ConnectionId, envelope: &Envelope) {
        let stage = self.connections.get_mut(&connection).expect("the broker speaks on open connections only");
        match (*stage, envelope) {
            (Stage::Silent, Envelope::Challenge(challenge)) => {
                *stage = Stage::Challenged;
                let proving = self.proofs.get_mut(&connection).expect("an open connection is proving or has proved");
                proving.challenge = body::decode(challenge).ok();
                assert_eq!(proving.challenge.is_some(), self.keyed, "who has a key asks for it");
            }
            (Stage::Silent | Stage::Challenged | Stage::Distrusted, Envelope::Goodbye(Some(_)))
            | (Stage::Admitted, _) => {}
            other => panic!("out of order: {other:?}"),
        }
    }

    fn check(&self) {
        if self.stopped {
            assert!(self.connections.is_empty(), "who has stopped has closed its connections");
            assert_eq!(self.machine.poll_timeout(), None, "who has stopped waits for nothing");
            return;
        }
        self.machine.assert_invariants();
    }

    /// What is counted for other peers is bounded, too.
    pub(crate) fn check_status(&self, now: Time) {
        let status = self.machine.status(now);
        assert!(status.clients + status.workers.len() <= self.connections_seen, "a peer is somebody who came");
        let again = usize::try_from(status.counters.dispatches).expect("a script is short");
        for service in self.machine.service_statuses(now) {
            // What a worker was lost with, or gave back, is not refused any more.
            assert!(service.waiting <= QUEUE_CALLS_MAX + again, "a queue has a limit");
        }
    }
}

/// A cast waits until its time is up, even when its sender has gone.
fn waits_for_ever(envelope: &Envelope) -> bool {
    let Envelope::Request(request) = envelope else { return false };
    request.flags.cast && request.timeout.is_none_or(|timeout| timeout > PATIENCE)
}
