//! The broker's run loop: it owns the gate, the clock and the machine, and makes no decisions.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::pin,
    time::{Duration, Instant},
};

use callboard_core::{
    auth::{Channel, Nonce},
    broker::{self, Action, Endpoint, Event, Identity},
    time::Time,
    wire::{
        Bundler, Envelope,
        ids::{BrokerId, ConnectionId, StartId},
        limits::{TURN_BYTES_MAX, TURN_ENVELOPES_MAX},
    },
};
use tracing::info;
use uuid::Uuid;

use crate::{
    clock::Clock,
    curve::CurveChanger,
    error::BrokerError,
    gate::{self, Gate, GateEvent, PeerAddress},
    log::DiagnosticLog,
    monitor::{self, BrokerMonitor, Readers},
    peers::PeerChanger,
    settings::Settings,
};

/// The interval at which the machine gets the state of the gate, because collecting it takes some microseconds.
const GATE_STATUS_INTERVAL: Duration = Duration::from_millis(50);

/// A broker that accepts connections.
///
/// It runs on one thread, in a [`tokio::runtime::LocalRuntime`] (or a [`tokio::task::LocalSet`]): a multi-threaded runtime takes about
/// twice the time for each call. [`RunningBroker`](crate::RunningBroker) starts such a thread.
#[derive(Debug)]
pub struct Broker {
    gate: Gate,
    machine: broker::Broker,
    clock: Clock,
    drain: Duration,
    peers: PeerChanger,
    curve: CurveChanger,
    monitor: BrokerMonitor,
    readers: Readers,
    /// The address of each open connection, for the log.
    addresses: BTreeMap<ConnectionId, PeerAddress>,
    outboxes: BTreeMap<ConnectionId, Bundler>,
    /// Connections whose outbox got a message in this turn.
    touched: Vec<ConnectionId>,
    /// Connections that were closed in this turn.
    closed: Vec<ConnectionId>,
    /// When the machine last got the state of the gate.
    gate_reported_at: Option<Time>,
    /// The machine's actions. Kept between turns, to reuse the memory.
    actions: Vec<Action>,
    log: DiagnosticLog,
    stopped: bool,
}

impl Broker {
    /// Binds both addresses. From then on connections are accepted; they are answered once [`Broker::run`] runs.
    ///
    /// # Errors
    /// An address cannot be bound, or other hosts can reach it and the broker requires no authentication.
    ///
    /// # Panics
    /// Outside a [`tokio::runtime::LocalRuntime`] or [`tokio::task::LocalSet`] with I/O and time.
    pub fn bind(settings: Settings) -> Result<Broker, BrokerError> {
        settings.check()?;
        let (limits, curve) = (settings.gate.clone(), settings.curve.clone());
        let gate = Gate::bind_with_curve(&settings.frontend, &settings.backend, limits, curve)?;
        let clock = Clock::start();
        let identity = Identity {
            broker: BrokerId(Uuid::new_v4().into_bytes()),
            start: StartId(Uuid::new_v4().into_bytes()),
            fences_from: Clock::wall_micros(),
        };
        let (monitor, readers) = monitor::channel();
        let machine = settings.machine(gate.frontend().to_string(), gate.backend().to_string());
        Ok(Broker {
            machine: broker::Broker::new(machine, identity, clock.now()),
            gate,
            clock,
            drain: settings.drain,
            peers: PeerChanger::new(),
            curve: CurveChanger::new(),
            monitor,
            readers,
            addresses: BTreeMap::new(),
            outboxes: BTreeMap::new(),
            touched: Vec::new(),
            closed: Vec::new(),
            gate_reported_at: None,
            actions: Vec::new(),
            log: DiagnosticLog::default(),
            stopped: false,
        })
    }

    /// Returns the address for clients, with the actual port.
    pub fn frontend(&self) -> String {
        self.gate.frontend().to_string()
    }

    /// Returns the address for workers, with the actual port.
    pub fn backend(&self) -> String {
        self.gate.backend().to_string()
    }

    /// Returns a handle to replace the peers that the broker knows while it runs.
    pub fn peer_changer(&self) -> PeerChanger {
        self.peers.clone()
    }

    /// Returns a handle that reads the state of the broker while it runs.
    pub fn monitor(&self) -> BrokerMonitor {
        self.monitor.clone()
    }

    /// Returns a handle to replace the CURVE keys while the broker runs.
    pub(crate) fn curve_changer(&self) -> CurveChanger {
        self.curve.clone()
    }

    /// Serves until `shutdown` is ready. Then it rejects new calls, lets running calls finish for as long as the settings allow, sends a
    /// goodbye to all peers, and returns.
    ///
    /// # Cancel safety
    /// Dropping the future stops the broker at once: connections break without a goodbye.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut leaving = false;
        let (mut peers, mut curve) = (self.peers.changes(), self.curve.changes());
        while !self.stopped {
            let due = self.poll_timeout();
            let (mut first, mut waiting) = (None, None);
            tokio::select! {
                biased;
                // Cancel safe: an event that was not returned stays in the gate.
                event = self.gate.next() => first = Some(event),
                // Cancel safe, by its documentation. It returns no error, since we hold a sender.
                _ = peers.changed() => peers.mark_changed(),
                // The same.
                _ = curve.changed() => curve.mark_changed(),
                // Cancel safe: a reader that was not returned stays in its channel.
                reader = self.readers.next() => waiting = Some(reader),
                // Cancel safe: it is not polled again after it was ready.
                () = &mut shutdown, if !leaving => leaving = true,
                // Cancel safe: a timer.
                () = sleep_until(due) => {}
            }
            let now = self.clock.now();
            // Before new messages are read, so that no peer authenticates with a removed key.
            if peers.has_changed().unwrap_or_default() {
                let changed = peers.borrow_and_update().clone();
                changed
                    .into_iter()
                    .for_each(|peers| self.machine.handle_event(now, Event::Peers(peers), &mut self.actions));
            }
            if curve.has_changed().unwrap_or_default()
                && let Some(curve) = curve.borrow_and_update().clone()
            {
                self.gate.change_curve(curve);
            }
            self.report_gate(now);
            // Also while messages arrive all the time: then the gate's branch is always the first.
            if let Some(reader) = waiting.or_else(|| self.readers.try_next()) {
                reader(&self.machine, now);
            }
            self.read(now, first);
            if leaving {
                self.machine.handle_event(now, Event::Shutdown { deadline: now + self.drain }, &mut self.actions);
            }
            // After all messages that have arrived are read: a call whose reply has arrived must not time out.
            if self.machine.poll_timeout().is_some_and(|due| due <= now) {
                self.machine.handle_event(now, Event::Timeout, &mut self.actions);
            }
            self.perform();
            self.flush();
            self.log.write_due(Instant::now());
            // The gate's `next` lets the gate's tasks run, even if there is always a next event.
        }
        self.gate.shut_down().await;
        info!(target: crate::log::TARGET, "the broker has stopped");
    }

    /// Returns when the machine or the log has something to do, if nothing else happens before.
    fn poll_timeout(&self) -> Option<tokio::time::Instant> {
        let machine = self.machine.poll_timeout().map(|at| self.clock.instant(at));
        machine.into_iter().chain(self.log.poll_timeout().map(Into::into)).min()
    }

    /// Reports the state of the gate to the machine, if the last report is old. Called before messages are read, so
    /// that a query in this turn gets the new state.
    fn report_gate(&mut self, now: Time) {
        if self.gate_reported_at.is_none_or(|at| now >= at + GATE_STATUS_INTERVAL) {
            self.gate_reported_at = Some(now);
            self.machine.handle_event(now, Event::Gate(Box::new(self.gate.status())), &mut self.actions);
        }
    }

    /// Passes events to the machine, up to the limits of a turn.
    fn read(&mut self, now: Time, mut next: Option<GateEvent>) {
        let (mut work, mut bytes) = (0, 0);
        while let Some(event) = next {
            let before = self.actions.len();
            let (event_bytes, envelopes) = self.take(now, event);
            bytes += event_bytes;
            // An envelope may cause many actions, such as those of a session that ends with open calls.
            work += envelopes.max(self.actions.len() - before);
            let full = work >= TURN_ENVELOPES_MAX || bytes >= TURN_BYTES_MAX;
            next = if full { None } else { self.gate.try_next() };
        }
    }

    /// Passes one event of the gate to the machine. Returns its bytes and its envelopes; an event that is not a message counts as one.
    fn take(&mut self, now: Time, event: GateEvent) -> (usize, usize) {
        let event = match event {
            GateEvent::Frames { connection, message } => {
                let load = self.machine.handle_message(now, connection, message.frames(), &mut self.actions);
                if load.uncredited > 0 {
                    self.gate.spend_uncredited(connection, load.uncredited);
                }
                return (message.bytes(), load.envelopes);
            }
            GateEvent::Opened { connection, endpoint, address, accepted, curve } => {
                let until = self.clock.time(accepted) + self.gate.limits().handshake_max;
                let (name, origin) = (address.to_string().into(), address.rate_limit_key().into());
                let nonce = Nonce(rand::random());
                self.addresses.insert(connection, address);
                let endpoint = match endpoint {
                    gate::Endpoint::Frontend => Endpoint::Frontend,
                    gate::Endpoint::Backend => Endpoint::Backend,
                };
                Event::Opened {
                    connection,
                    endpoint,
                    address: name,
                    rate_limit_key: origin,
                    channel: curve.map(|curve| Channel::from(*curve)),
                    nonce,
                    until,
                }
            }
            GateEvent::ProtocolViolation { connection, violation } => {
                Event::ProtocolViolation { connection, violation }
            }
            GateEvent::Activity { connection } => Event::Activity { connection },
            GateEvent::Closed { connection, .. } => {
                self.closed.push(connection);
                Event::Closed { connection }
            }
        };
        self.machine.handle_event(now, event, &mut self.actions);
        (0, 1)
    }

    fn perform(&mut self) {
        let mut actions = std::mem::take(&mut self.actions);
        // By reference: an envelope is large, and most are only sent.
        for action in &actions {
            match action {
                Action::Send(connection, envelope) => self.send(*connection, envelope),
                Action::Authenticated(connection) => self.gate.set_authenticated(*connection),
                Action::Close(connection) => self.close(*connection),
                Action::Log(diagnostic) => {
                    let address_of = |connection| self.addresses.get(&connection).map(ToString::to_string);
                    self.log.log(diagnostic, address_of);
                }
                Action::Stopped => self.stopped = true,
            }
        }
        actions.clear();
        self.actions = actions;
    }

    fn send(&mut self, connection: ConnectionId, envelope: &Envelope) {
        let outbox = self.outboxes.entry(connection).or_default();
        if outbox.is_empty() {
            self.touched.push(connection);
        }
        outbox.push(envelope);
    }

    /// Closes a connection, after what was sent on it before.
    fn close(&mut self, connection: ConnectionId) {
        if let Some(mut outbox) = self.outboxes.remove(&connection) {
            outbox.take().for_each(|frames| self.gate.send(connection, frames));
        }
        self.gate.close(connection);
    }

    /// Sends one bundle, or a few, to each peer that has messages in its outbox.
    fn flush(&mut self) {
        for connection in self.touched.drain(..) {
            if let Some(outbox) = self.outboxes.get_mut(&connection) {
                outbox.take().for_each(|frames| self.gate.send(connection, frames));
            }
        }
        self.gate.flush();
        // Closed last: a connection that closed in this turn may still have messages in its outbox.
        for connection in self.closed.drain(..) {
            self.outboxes.remove(&connection);
            self.addresses.remove(&connection);
        }
    }
}

async fn sleep_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
