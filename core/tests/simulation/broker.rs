//! The broker process: its machine and its driver.

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
    context::Context,
    network::{End, Host, Packet},
    operator::Operator,
    process::Process,
};

/// One run of the broker in this many checks the wait reason of each open call.
const WHY_EVERY: u64 = 50;

/// The percentage of runs before which the rights of a client change, in a world with rights.
const RELOAD_PERCENT: u64 = 2;

/// An input from a connection.
#[derive(Debug)]
enum Input {
    Opened(Endpoint, Host),
    Frames(Vec<Bytes>),
    Closed,
}

/// One incarnation of the broker.
#[derive(Debug)]
pub(crate) struct BrokerHost {
    pub(crate) process: Process,
    pub(crate) machine: Broker,
    started: Time,
    start: StartId,
    /// The workers by their connections.
    names: BTreeMap<ConnectionId, String>,
    inputs: VecDeque<(ConnectionId, Input)>,
    /// Connections of the machine, each with its peer.
    open: BTreeMap<ConnectionId, Host>,
    bundlers: BTreeMap<ConnectionId, Bundler>,
    shutdown: Option<Time>,
    operator: Operator,
    /// Whether it has shut down.
    pub(crate) stopped: bool,
}

impl BrokerHost {
    pub(crate) fn new(context: &mut Context) -> BrokerHost {
        context.start += 1;
        context.ledger.removed_sessions.clear();
        context.keys.broker_started();
        let config = &context.config;
        let [retry_percent, retry_floor, retry_burst] = config.retries;
        let settings = Settings {
            frontend: "tcp://frontend".to_owned(),
            backend: "tcp://backend".to_owned(),
            heartbeat: config.heartbeat_broker,
            credit_calls: config.credit_calls,
            credit_bytes: config.credit_bytes,
            queue_calls_max: config.queue_calls,
            queue_age_max: config.queue_age,
            waiting_calls_max: config.waiting_calls,
            outcomes_bytes_max: config.outcomes_bytes,
            worker_bytes_max: config.worker_bytes,
            retry_percent,
            retry_floor,
            retry_burst,
            service_return: config.service_return,
            quiet_time: config.quiet_time,
            peers: context.peers.directory(),
            ..Settings::default()
        };
        let start = StartId(context.rng.bytes());
        let identity = Identity { broker: BrokerId([1; 16]), start, fences_from: context.start << 32 };
        let process = Process::new(context.now, Duration::from_micros(context.rng.below(1 << 40)));
        BrokerHost {
            machine: Broker::new(settings, identity, process.local(context.now)),
            started: process.local(context.now),
            start,
            names: BTreeMap::new(),
            process,
            inputs: VecDeque::new(),
            open: BTreeMap::new(),
            bundlers: BTreeMap::new(),
            shutdown: None,
            operator: Operator::default(),
            stopped: false,
        }
    }

    /// Returns when the machine runs next.
    pub(crate) fn due(&self) -> Option<Time> {
        self.process.due(self.machine.poll_timeout())
    }

    /// Returns the state of the broker.
    pub(crate) fn status(&self, now: Time) -> Status {
        self.machine.status(self.process.local(now))
    }

    /// Shuts the broker down.
    pub(crate) fn shut_down(&mut self, drain_time: Duration, context: &mut Context) {
        self.shutdown = Some(self.process.local(context.now) + drain_time);
        let at = context.handled();
        self.process.wake(at);
    }

    /// Queues a packet as an input.
    pub(crate) fn arrived(
        &mut self,
        connection: ConnectionId,
        peer: Host,
        endpoint: Endpoint,
        packet: Packet,
        context: &mut Context,
    ) {
        let input = match packet {
            Packet::Opened => {
                let at = context.arrival();
                context.network.send(connection, End::Peer, at, Packet::Opened);
                Input::Opened(endpoint, peer)
            }
            Packet::Message(frames) => Input::Frames(frames),
            Packet::Closed => {
                context.network.close(connection, End::Broker, None, usize::MAX);
                Input::Closed
            }
        };
        self.inputs.push_back((connection, input));
        let at = context.handled();
        self.process.wake(at);
    }

    /// Runs the driver once.
    pub(crate) fn run_once(&mut self, context: &mut Context) {
        self.process.begin_run();
        let now = self.process.local(context.now);
        if let Some(deadline) = self.shutdown.take() {
            self.handle(now, Event::Shutdown { deadline }, context);
        }
        self.change_rights(now, context);
        self.operate(now, context);
        for _ in 0..context.config.inputs_per_run {
            let Some((connection, input)) = self.inputs.pop_front().filter(|_| !self.stopped) else { break };
            self.input(now, connection, input, context);
        }
        if self.inputs.is_empty() && !self.stopped && self.machine.poll_timeout().is_some_and(|at| at <= now) {
            self.handle(now, Event::Timeout, context);
            let next = self.machine.poll_timeout();
            assert!(next.is_none_or(|at| at > now), "the timeout of the broker must be later than now");
        }
        self.flush(context);
        if !self.inputs.is_empty() {
            self.process.wake(context.now);
        }
        self.check_retries(now, context);
        self.check_concurrency(now);
        if self.process.runs.is_multiple_of(WHY_EVERY) {
            for why in self.machine.open_calls(now) {
                assert!(!why.reason.is_empty(), "each open call has a wait reason: {why:?}");
            }
        }
    }

    /// Changes the rights of a client now and then, and gives all of them back when the faults have ended.
    fn change_rights(&mut self, now: Time, context: &mut Context) {
        let changed = if context.healing {
            context.peers.allow_all(context.now)
        } else {
            context.rng.percent(RELOAD_PERCENT) && context.peers.change(context.now, &mut context.rng)
        };
        if let Some(peers) = context.peers.directory().filter(|_| changed && !self.stopped) {
            self.handle(now, Event::Peers(peers), context);
        }
    }

    /// Performs what an operator requests now and then.
    fn operate(&mut self, now: Time, context: &mut Context) {
        if self.stopped {
            return;
        }
        for operation in self.operator.next(now, &self.machine, context) {
            let mut out = Vec::new();
            let result = self.machine.operate(now, operation.clone(), &mut out);
            context.note(Host::Broker, || format!("{operation}: {result:?}"));
            assert!(result.is_ok() || !context.healing, "{operation} removes what is set: {result:?}");
            if result.is_ok() {
                context.ledger.stats.operated += 1;
                self.operator.performed(operation);
            }
            self.perform(out, context);
        }
    }

    /// Checks that no method runs more calls than its concurrency limit.
    fn check_concurrency(&self, now: Time) {
        for method in self.machine.service_statuses(now).iter().flat_map(|service| &service.methods) {
            let max = method.concurrency.unwrap_or(u32::MAX);
            assert!(method.running <= max, "{} calls of {} run, and {max} may", method.running, method.name);
        }
    }

    /// Checks that retries stay within the budgets: for each service a percentage of its calls, a floor per second, and a burst.
    fn check_retries(&self, now: Time, context: &Context) {
        let [percent, floor, burst] = context.config.retries.map(u64::from);
        let counters = self.machine.counters();
        let services = SERVICES.len() as u64 + u64::from(context.config.rogue);
        let seconds = now.since(self.started).as_secs() + 1;
        let allowed = counters.calls * percent / 100 + services * (burst + floor * seconds);
        assert!(counters.repeated <= allowed, "{} retries, and the budgets allow {allowed}", counters.repeated);
    }

    fn input(&mut self, now: Time, connection: ConnectionId, input: Input, context: &mut Context) {
        match input {
            Input::Opened(endpoint, peer) => {
                self.open.insert(connection, peer);
                let (nonce, until) = (Nonce(context.rng.bytes()), now + limits::HANDSHAKE_TIMEOUT);
                let (address, origin) = ("somewhere".into(), context.rate_limit_key(peer).into());
                self.handle(
                    now,
                    Event::Opened {
                        connection,
                        endpoint,
                        address,
                        rate_limit_key: origin,
                        channel: None,
                        nonce,
                        until,
                    },
                    context,
                );
            }
            Input::Closed => {
                if self.open.remove(&connection).is_some() {
                    self.handle(now, Event::Closed { connection }, context);
                }
            }
            Input::Frames(frames) => {
                if frames.iter().map(Bytes::len).sum::<usize>() > 10_000 {
                    self.handle(now, Event::Activity { connection }, context);
                }
                let mut out = Vec::new();
                self.machine.handle_message(now, connection, &frames, &mut out);
                self.perform(out, context);
            }
        }
    }

    fn handle(&mut self, now: Time, event: Event, context: &mut Context) {
        let mut out = Vec::new();
        self.machine.handle_event(now, event, &mut out);
        self.perform(out, context);
    }

    fn perform(&mut self, out: Vec<Action>, context: &mut Context) {
        for action in out {
            context.note(Host::Broker, || format!("{action:?}"));
            match action {
                Action::Send(connection, envelope) => {
                    assert!(
                        self.open.contains_key(&connection),
                        "the broker sends on connection {connection}, which is closed"
                    );
                    self.count_credit(connection, &envelope, context);
                    if let (Envelope::Dispatch(dispatch), Some(worker)) = (&envelope, self.names.get(&connection)) {
                        context.keys.dispatch(self.start, worker, dispatch);
                        self.operator.check_dispatch(worker, dispatch);
                    }
                    self.bundlers.entry(connection).or_default().push(&envelope);
                }
                Action::Authenticated(connection) => {
                    assert!(self.open.contains_key(&connection), "the authenticated connection must be open")
                }
                Action::Close(connection) => self.close(connection, context),
                Action::Log(diagnostic) => self.handle_diagnostic(diagnostic, context),
                Action::Stopped => self.stopped = true,
            }
        }
        if !self.stopped {
            self.machine.assert_invariants();
        }
    }

    fn count_credit(&self, connection: ConnectionId, envelope: &Envelope, context: &mut Context) {
        let credit = match envelope {
            Envelope::Reply(reply) => reply.credit,
            Envelope::Credit(credit) => Some(*credit),
            _ => None,
        };
        if let Some(credit) = credit.filter(|_| self.open.get(&connection) != Some(&Host::Rogue)) {
            context.credit_granted(connection, credit);
        }
    }

    fn close(&mut self, connection: ConnectionId, context: &mut Context) {
        assert!(self.open.contains_key(&connection), "the broker closes connection {connection} twice");
        self.flush(context);
        self.open.remove(&connection);
        let (at, lost) = (context.arrival(), context.lost_at_close());
        context.network.close(connection, End::Broker, Some(at), lost);
    }

    fn handle_diagnostic(&mut self, diagnostic: Diagnostic, context: &mut Context) {
        match diagnostic {
            Diagnostic::SessionEnded { name, .. } => {
                context.keys.session_removed(&name);
                *context.ledger.removed_sessions.entry(name).or_default() += 1;
            }
            Diagnostic::WorkerRegistered { connection, name, .. }
                if self.open.get(&connection) != Some(&Host::Rogue) =>
            {
                context.keys.worker_registered(&name);
                self.names.insert(connection, name.to_string());
            }
            // A worker that disconnects at its shutdown deadline may still run calls of an earlier connection.
            Diagnostic::WorkerLost { name, .. } | Diagnostic::WorkerDeregistered { name, .. } => {
                context.keys.worker_lost(&name)
            }
            Diagnostic::Disconnected { connection, code, message } => {
                let well_behaved = self.open.get(&connection).is_some_and(|&peer| peer != Host::Rogue);
                assert!(
                    !well_behaved || code != Code::ResourceExhausted,
                    "a peer within its credit was disconnected: {message}"
                );
            }
            _ => {}
        }
    }

    fn flush(&mut self, context: &mut Context) {
        for (&connection, bundler) in &mut self.bundlers {
            for frames in bundler.take() {
                let at = context.arrival();
                context.network.send(connection, End::Peer, at, Packet::Message(frames.to_vec()));
            }
        }
        self.bundlers.clear();
    }
}
