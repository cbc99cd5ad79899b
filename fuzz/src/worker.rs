//! The worker machine with a driver that checks its guarantees after each step.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use callboard_core::{
    auth::AuthKey,
    peer::Settings,
    time::Time,
    wire::{
        envelope::Effect,
        handshake::{MethodLimits, MethodOffer, Offer, Register},
        ids::ConnectionId,
        streams::Style,
    },
    worker::{Action, Event, JobId, Worker},
};

use super::{
    generate,
    peer::{Peer, PeerAction, Socket},
    script::Script,
};

/// The slots of each service.
const SLOTS: u32 = 2;
/// The hard limit of idempotent methods in milliseconds.
const HARD_MS: u64 = 50;

/// The worker, and its running handlers.
#[derive(Debug)]
pub(crate) struct WorkerHost {
    machine: Worker,
    socket: Socket,
    /// The running calls, and whether each was asked to stop.
    running: BTreeMap<JobId, bool>,
    slots: usize,
    ended: bool,
}

impl WorkerHost {
    /// Creates a worker that serves `alpha` and, if `both` is set, `beta`.
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
        // With two services, the worker runs fewer calls at once than their slots add up to.
        let slots = if both { SLOTS + 1 } else { SLOTS };
        let settings = Settings { instance: "worker".to_owned(), key, ..Settings::new(generate::session(session)) };
        let register = Register { offers, slots: both.then_some(slots), prefetch: 1, ..Register::default() };
        let machine = Worker::new(settings, register);
        WorkerHost { machine, socket: Socket::None, running: BTreeMap::new(), slots: slots as usize, ended: false }
    }

    /// Ends a handler: it finishes, or stops if it was asked to.
    pub(crate) fn end_one(&mut self, now: Time, script: &mut Script<'_>) -> Vec<PeerAction> {
        if self.running.is_empty() || self.ended {
            return Vec::new();
        }
        let at = script.place(self.running.len());
        let (job, stopped) =
            self.running.iter().nth(at).map(|(&job, &stopped)| (job, stopped)).expect("the index is in range");
        self.running.remove(&job);
        if stopped && script.flag() {
            return self.handle(now, Event::Stopped { job, started: script.flag() });
        }
        self.handle(now, Event::Finished { job, outcome: generate::outcome(script), handler_time: None })
    }

    pub(crate) fn shut_down(&mut self, now: Time, drain: Duration) -> Vec<PeerAction> {
        self.handle(now, Event::Shutdown { deadline: now + drain })
    }

    /// Checks that the worker has ended. Its drain time must have passed.
    pub(crate) fn check_ended(&self) {
        assert!(self.ended, "a shutdown is complete after its deadline");
    }

    fn handle(&mut self, now: Time, event: Event) -> Vec<PeerAction> {
        let mut out = Vec::new();
        self.machine.handle_event(now, event, &mut out);
        self.perform(out)
    }

    fn perform(&mut self, actions: Vec<Action>) -> Vec<PeerAction> {
        let mut performed = Vec::new();
        for action in actions {
            match action {
                Action::Connect => {
                    assert!(!self.ended, "a worker that has ended does not connect");
                    self.socket.request();
                }
                Action::Disconnect => performed.extend(self.socket.disconnect().map(PeerAction::Disconnected)),
                Action::Send(envelope) => {
                    self.socket.check_open();
                    performed.push(PeerAction::Sent(envelope));
                }
                Action::Run(job) => {
                    assert!(self.running.insert(job.id, false).is_none(), "a call runs once");
                    assert!(self.running.len() <= self.slots, "no more calls run than there are slots");
                }
                Action::Stop(job) => {
                    let stopped = self.running.get_mut(&job).expect("only running calls are stopped");
                    assert!(!std::mem::replace(stopped, true), "a handler is asked to stop once");
                }
                // These handlers end before their start is queried.
                Action::QueryStarted(_) => {}
                Action::ShutdownComplete => assert!(!std::mem::replace(&mut self.ended, true), "a worker ends once"),
                // No method of these scripts has streams.
                Action::StreamCredit { .. } | Action::Items { .. } | Action::End { .. } => {
                    panic!("an action of a stream for a call without streams")
                }
                Action::Drain | Action::Rejected(_) | Action::Log(_) => {}
            }
        }
        self.machine.assert_invariants();
        assert_eq!(self.machine.running_len(), self.running.len(), "the machine counts the running calls");
        assert!(
            !self.machine.is_connected() || matches!(self.socket, Socket::Open(_)),
            "a worker with a session has an open socket"
        );
        performed
    }
}

impl Peer for WorkerHost {
    fn socket(&mut self) -> &mut Socket {
        &mut self.socket
    }

    fn has_ended(&self) -> bool {
        self.ended
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
