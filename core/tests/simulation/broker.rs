//! The broker: its machine and the driver of it.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use callboard_core::{
    auth::Nonce,
    broker::{Action, Broker, Diagnostic, Endpoint, Event, Identity, Settings, Status},
    time::Time,
    wire::{
        Bundler, Envelope,
        ids::{BrokerId, ConnectionId, StartId},
        limits,
        status::Code,
    },
};

use super::{
    catalogue::SERVICES,
    network::{End, Host, Parcel},
    process::Process,
    scene::Scene,
};

/// Turns after which the broker is asked what each open call waits for.
const WHY_EVERY: u64 = 50;

/// What comes from a connection.
#[derive(Debug)]
enum Input {
    Opened(Endpoint, Host),
    Frames(Vec<Bytes>),
    Closed,
}

/// One start of the broker.
#[derive(Debug)]
pub(crate) struct BrokerHost {
    pub(crate) process: Process,
    pub(crate) machine: Broker,
    started: Time,
    start: StartId,
    /// The workers by their connections.
    names: BTreeMap<ConnectionId, String>,
    inputs: VecDeque<(ConnectionId, Input)>,
    /// Connections that the machine knows, each with its peer.
    open: BTreeMap<ConnectionId, Host>,
    bundlers: BTreeMap<ConnectionId, Bundler>,
    shutdown: Option<Time>,
    /// It was told to end, and has.
    pub(crate) stopped: bool,
}

impl BrokerHost {
    pub(crate) fn new(scene: &mut Scene) -> BrokerHost {
        scene.start += 1;
        scene.ledger.forgotten.clear();
        scene.keys.broker_starts();
        let knobs = &scene.knobs;
        let [retry_percent, retry_floor, retry_burst] = knobs.retries;
        let settings = Settings {
            frontend: "tcp://frontend".to_owned(),
            backend: "tcp://backend".to_owned(),
            heartbeat: knobs.heartbeat_broker,
            credit_calls: knobs.credit_calls,
            credit_bytes: knobs.credit_bytes,
            queue_calls_max: knobs.queue_calls,
            queue_age_max: knobs.queue_age,
            waiting_calls_max: knobs.waiting_calls,
            outcomes_bytes_max: knobs.outcomes_bytes,
            worker_bytes_max: knobs.worker_bytes,
            retry_percent,
            retry_floor,
            retry_burst,
            service_return: knobs.service_return,
            quiet_time: knobs.quiet_time,
            keys: knobs.key().map(Into::into),
            ..Settings::default()
        };
        let start = StartId(scene.chance.bytes());
        let identity = Identity { broker: BrokerId([1; 16]), start, fences_from: scene.start << 32 };
        let process = Process::new(scene.now, Duration::from_micros(scene.chance.below(1 << 40)));
        BrokerHost {
            machine: Broker::new(settings, identity, process.local(scene.now)),
            started: process.local(scene.now),
            start,
            names: BTreeMap::new(),
            process,
            inputs: VecDeque::new(),
            open: BTreeMap::new(),
            bundlers: BTreeMap::new(),
            shutdown: None,
            stopped: false,
        }
    }

    /// When the machine is to be run.
    pub(crate) fn due(&self) -> Option<Time> {
        self.process.due(self.machine.poll_timeout())
    }

    /// The state of the broker.
    pub(crate) fn status(&self, now: Time) -> Status {
        self.machine.status(self.process.local(now))
    }

    /// The operator ends the broker.
    pub(crate) fn shut_down(&mut self, patience: Duration, scene: &mut Scene) {
        self.shutdown = Some(self.process.local(scene.now) + patience);
        let at = scene.handled();
        self.process.rouse(at);
    }

    /// Something arrived.
    pub(crate) fn arrived(
        &mut self,
        connection: ConnectionId,
        peer: Host,
        endpoint: Endpoint,
        parcel: Parcel,
        scene: &mut Scene,
    ) {
        let input = match parcel {
            Parcel::Opened => {
                let at = scene.arrival();
                scene.network.send(connection, End::Peer, at, Parcel::Opened);
                Input::Opened(endpoint, peer)
            }
            Parcel::Message(frames) => Input::Frames(frames),
            Parcel::Closed => {
                scene.network.close(connection, End::Broker, None, usize::MAX);
                Input::Closed
            }
        };
        self.inputs.push_back((connection, input));
        let at = scene.handled();
        self.process.rouse(at);
    }

    /// A turn of the driver.
    pub(crate) fn turn(&mut self, scene: &mut Scene) {
        self.process.begin_turn();
        let now = self.process.local(scene.now);
        if let Some(deadline) = self.shutdown.take() {
            self.handle(now, Event::Shutdown { deadline }, scene);
        }
        for _ in 0..scene.knobs.turn_inputs {
            let Some((connection, input)) = self.inputs.pop_front().filter(|_| !self.stopped) else { break };
            self.input(now, connection, input, scene);
        }
        if self.inputs.is_empty() && !self.stopped && self.machine.poll_timeout().is_some_and(|at| at <= now) {
            self.handle(now, Event::Timeout, scene);
            let next = self.machine.poll_timeout();
            assert!(next.is_none_or(|at| at > now), "the broker wants to be woken again and again");
        }
        self.flush(scene);
        if !self.inputs.is_empty() {
            self.process.rouse(scene.now);
        }
        self.check_retries(now, scene);
        self.check_concurrency(now);
        if self.process.turns.is_multiple_of(WHY_EVERY) {
            for why in self.machine.open_calls(now) {
                assert!(!why.reason.is_empty(), "each open call waits for something: {why:?}");
            }
        }
    }

    /// Of a limited method no more calls are at workers than may be.
    fn check_concurrency(&self, now: Time) {
        for method in self.machine.service_statuses(now).iter().flat_map(|service| &service.methods) {
            let max = method.concurrency.unwrap_or(u32::MAX);
            assert!(method.running <= max, "{} calls of {} run, and {max} may", method.running, method.name);
        }
    }

    /// A storm of losses costs no more than the budget, whatever it meets: a share of the calls, a floor a second, and a burst,
    /// for each service.
    fn check_retries(&self, now: Time, scene: &Scene) {
        let [percent, floor, burst] = scene.knobs.retries.map(u64::from);
        let counters = self.machine.counters();
        let services = SERVICES.len() as u64 + u64::from(scene.knobs.rogue);
        let seconds = now.since(self.started).as_secs() + 1;
        let most = counters.calls * percent / 100 + services * (burst + floor * seconds);
        assert!(counters.repeated <= most, "{} retries, and the budgets allow {most}", counters.repeated);
    }

    fn input(&mut self, now: Time, connection: ConnectionId, input: Input, scene: &mut Scene) {
        match input {
            Input::Opened(endpoint, peer) => {
                self.open.insert(connection, peer);
                let (nonce, until) = (Nonce(scene.chance.bytes()), now + limits::HANDSHAKE_MAX);
                let (address, origin) = ("somewhere".into(), scene.origin(peer).into());
                self.handle(
                    now,
                    Event::Opened { connection, endpoint, address, rate_limit_key: origin, nonce, until },
                    scene,
                );
            }
            Input::Closed => {
                if self.open.remove(&connection).is_some() {
                    self.handle(now, Event::Closed { connection }, scene);
                }
            }
            Input::Frames(frames) => {
                if frames.iter().map(Bytes::len).sum::<usize>() > 10_000 {
                    self.handle(now, Event::Activity { connection }, scene);
                }
                let mut out = Vec::new();
                self.machine.handle_message(now, connection, &frames, &mut out);
                self.perform(out, scene);
            }
        }
    }

    fn handle(&mut self, now: Time, event: Event, scene: &mut Scene) {
        let mut out = Vec::new();
        self.machine.handle_event(now, event, &mut out);
        self.perform(out, scene);
    }

    fn perform(&mut self, out: Vec<Action>, scene: &mut Scene) {
        for action in out {
            scene.note(Host::Broker, || format!("{action:?}"));
            match action {
                Action::Send(connection, envelope) => {
                    assert!(
                        self.open.contains_key(&connection),
                        "the broker speaks on connection {connection}, which is closed"
                    );
                    self.count_credit(connection, &envelope, scene);
                    if let (Envelope::Dispatch(dispatch), Some(worker)) = (&envelope, self.names.get(&connection)) {
                        scene.keys.dispatch(self.start, worker, dispatch);
                    }
                    self.bundlers.entry(connection).or_default().push(&envelope);
                }
                Action::Authenticated(connection) => {
                    assert!(self.open.contains_key(&connection), "who is let in is there")
                }
                Action::Close(connection) => self.close(connection, scene),
                Action::Log(note) => self.noted(note, scene),
                Action::Stopped => self.stopped = true,
            }
        }
        if !self.stopped {
            self.machine.assert_invariants();
        }
    }

    fn count_credit(&self, connection: ConnectionId, envelope: &Envelope, scene: &mut Scene) {
        let credit = match envelope {
            Envelope::Reply(reply) => reply.credit,
            Envelope::Credit(credit) => Some(*credit),
            _ => None,
        };
        if let Some(credit) = credit.filter(|_| self.open.get(&connection) != Some(&Host::Rogue)) {
            scene.credit_granted(connection, credit);
        }
    }

    fn close(&mut self, connection: ConnectionId, scene: &mut Scene) {
        assert!(self.open.contains_key(&connection), "the broker closes connection {connection} twice");
        self.flush(scene);
        self.open.remove(&connection);
        let (at, lost) = (scene.arrival(), scene.lost_at_close());
        scene.network.close(connection, End::Broker, Some(at), lost);
    }

    fn noted(&mut self, diagnostic: Diagnostic, scene: &mut Scene) {
        match diagnostic {
            Diagnostic::SessionEnded { name, .. } => {
                scene.keys.client_gone(&name);
                *scene.ledger.forgotten.entry(name).or_default() += 1;
            }
            Diagnostic::WorkerRegistered { connection, name, .. }
                if self.open.get(&connection) != Some(&Host::Rogue) =>
            {
                scene.keys.joined(&name);
                self.names.insert(connection, name.to_string());
            }
            // One that leaves when its time is up may still stop what it ran for an earlier connection.
            Diagnostic::WorkerLost { name, .. } | Diagnostic::WorkerDeregistered { name } => scene.keys.lost(&name),
            Diagnostic::Disconnected { connection, code, message } => {
                let good = self.open.get(&connection).is_some_and(|&peer| peer != Host::Rogue);
                assert!(!good || code != Code::ResourceExhausted, "a peer that keeps to its credit: {message}");
            }
            _ => {}
        }
    }

    fn flush(&mut self, scene: &mut Scene) {
        for (&connection, bundler) in &mut self.bundlers {
            for frames in bundler.take() {
                let at = scene.arrival();
                scene.network.send(connection, End::Peer, at, Parcel::Message(frames.to_vec()));
            }
        }
        self.bundlers.clear();
    }
}
