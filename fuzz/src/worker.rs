//! The worker machine, run as its driver would, with what it owes to its handlers checked at each step.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use callboard_core::{
    auth::{AuthKey, Nonce},
    peer::Settings,
    time::Time,
    wire::{
        envelope::Effect,
        handshake::{MethodLimits, MethodOffer, Offer, Register},
        streams::Style,
    },
    worker::{Action, Event, JobId, Worker},
};

use super::{
    peer::{Did, Peer, Socket},
    said,
    script::Script,
};

/// Slots of each service.
const SLOTS: u32 = 2;
/// How long a call of an idempotent method may run, in milliseconds.
const HARD_MS: u64 = 50;

/// The worker, and the handlers that run.
#[derive(Debug)]
pub(crate) struct WorkerHost {
    machine: Worker,
    socket: Socket,
    /// Whether each was told to stop.
    running: BTreeMap<JobId, bool>,
    slots: usize,
    left: bool,
}

impl WorkerHost {
    /// One that serves `alpha`, and `beta` where it is to serve both.
    pub(crate) fn new(session: u8, both: bool, key: Option<AuthKey>) -> WorkerHost {
        let method = |name: &str, effect| MethodOffer {
            name: name.to_owned(),
            effect,
            arguments: Vec::new(),
            style: Style::Unary,
            limits: MethodLimits {
                hard_ms: (effect == Effect::Idempotent).then_some(HARD_MS),
                concurrency: (effect == Effect::Read).then_some(1),
                ..MethodLimits::default()
            },
        };
        let offer = |service: &str, methods| Offer {
            service: service.to_owned(),
            slots: SLOTS,
            free: SLOTS,
            prefetch: 1,
            keys: Vec::new(),
            methods,
            contract: None,
        };
        let effects = [("fetch", Effect::Read), ("push", Effect::Idempotent), ("pay", Effect::Once)];
        let alpha = offer("alpha", effects.map(|(name, effect)| method(name, effect)).into());
        let beta = offer("beta", vec![method("run", Effect::Read)]);
        let offers = if both { vec![alpha, beta] } else { vec![alpha] };
        let slots = SLOTS as usize * offers.len();
        let settings = Settings { instance: "worker".to_owned(), key, ..Settings::new(said::session(session)) };
        let machine = Worker::new(settings, Register { offers, exclusive: false });
        WorkerHost { machine, socket: Socket::None, running: BTreeMap::new(), slots, left: false }
    }

    /// A handler ends, or obeys.
    pub(crate) fn end_one(&mut self, now: Time, script: &mut Script<'_>) -> Vec<Did> {
        if self.running.is_empty() || self.left {
            return Vec::new();
        }
        let at = script.place(self.running.len());
        let (job, stopped) = self.running.iter().nth(at).map(|(&job, &stopped)| (job, stopped)).expect("a place in it");
        self.running.remove(&job);
        if stopped && script.flag() {
            return self.handle(now, Event::Stopped { job, started: script.flag() });
        }
        self.handle(now, Event::Finished { job, outcome: said::outcome(script) })
    }

    pub(crate) fn shut_down(&mut self, now: Time, patience: Duration) -> Vec<Did> {
        self.handle(now, Event::Shutdown { deadline: now + patience })
    }

    /// It was told to end and had time.
    pub(crate) fn check_ended(&self) {
        assert!(self.left, "a shutdown is complete when its time is up");
    }

    fn handle(&mut self, now: Time, event: Event) -> Vec<Did> {
        let mut out = Vec::new();
        self.machine.handle_event(now, event, &mut out);
        self.perform(out)
    }

    fn perform(&mut self, actions: Vec<Action>) -> Vec<Did> {
        let mut did = Vec::new();
        for action in actions {
            match action {
                Action::Connect => {
                    assert!(!self.left, "who has ended does not come back");
                    self.socket.ask();
                }
                Action::Disconnect => did.extend(self.socket.drop_it().map(Did::Dropped)),
                Action::Send(envelope) => {
                    self.socket.check_open();
                    did.push(Did::Said(envelope));
                }
                Action::Run(job) => {
                    assert!(self.running.insert(job.id, false).is_none(), "a call runs once");
                    assert!(self.running.len() <= self.slots, "no more calls run than there are slots");
                }
                Action::Stop(job) => {
                    let stopped = self.running.get_mut(&job).expect("only what runs is stopped");
                    assert!(!std::mem::replace(stopped, true), "a handler is told once");
                }
                // Of those that end before they are seen to have begun.
                Action::QueryStarted(_) => {}
                Action::ShutdownComplete => assert!(!std::mem::replace(&mut self.left, true), "it leaves once"),
                // No method of these scripts has streams.
                Action::StreamCredit { .. } | Action::Item { .. } | Action::End { .. } => {
                    panic!("a call without streams has none")
                }
                Action::Rejected(_) | Action::Log(_) => {}
            }
        }
        self.machine.assert_invariants();
        assert_eq!(self.machine.running_len(), self.running.len(), "what runs is known");
        assert!(!self.machine.is_connected() || matches!(self.socket, Socket::Open(_)), "who is joined is connected");
        did
    }
}

impl Peer for WorkerHost {
    fn socket(&mut self) -> &mut Socket {
        &mut self.socket
    }

    fn is_over(&self) -> bool {
        self.left
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
