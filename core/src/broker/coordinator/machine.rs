//! The interface of the broker machine: events and messages in, actions out.

use std::time::Duration;

use bytes::Bytes;

use super::super::{
    admin::{self, AdminCache, GateStatus, LimitsStatus, Load, Metrics, Peers, ServiceStatus, Status, WaitReason},
    affinity::Affinity,
    calls::{Calls, DeadLetters},
    deferred::{Deferred, DeferredWork},
    flow::{Broadcasts, Streams},
    handshake::{ConnectionState, Connections, PeerOrigin},
    interface::{Action, Counters, Diagnostic, Event, Identity, MessageLoad, Settings},
    keys::{ClientKey, KeySource, WorkerKey},
    metrics::CallMetrics,
    registry::Registry,
    scheduling::Tenants,
    sessions::{PeerConnection, Sessions},
    timers::{Timer, Timers},
};
use super::{
    invariants,
    state::{Broker, Lifecycle},
};
use crate::{
    auth::Principal,
    time::Time,
    wire::{
        bundle::{self, EnvelopeError, Recipient},
        envelope::{Envelope, Ping},
        ids::ConnectionId,
        status::{Code, Executed, Failure},
    },
};

impl Broker {
    /// Creates a broker with no connections.
    pub fn new(settings: Settings, identity: Identity, now: Time) -> Broker {
        Broker {
            affinity: Affinity::new(now, settings.heartbeat, identity.fences_from),
            settings,
            identity,
            lifecycle: Lifecycle {
                started: now,
                stall_recovered_at: Time::ZERO,
                shutdown_deadline: None,
                stopped: false,
            },
            connections: Connections::default(),
            sessions: Sessions::default(),
            registry: Registry::default(),
            tenants: Tenants::default(),
            calls: Calls::default(),
            streams: Streams::default(),
            broadcasts: Broadcasts::default(),
            dead_letters: DeadLetters::default(),
            timers: Timers::default(),
            deferred: Deferred::default(),
            key_source: KeySource::default(),
            counters: Counters::default(),
            admin: AdminCache::default(),
            admin_metrics: CallMetrics::default(),
            gate: GateStatus::default(),
        }
    }

    /// Handles a message that arrived on a connection. Does nothing after [`Action::Stopped`]. Returns how much work it was.
    pub fn handle_message(
        &mut self,
        now: Time,
        connection: ConnectionId,
        frames: &[Bytes],
        out: &mut Vec<Action>,
    ) -> MessageLoad {
        let mut load = MessageLoad::default();
        if self.lifecycle.stopped {
            return load;
        }
        self.detect_stall(now);
        self.record_activity(now, connection, frames.iter().map(Bytes::len).sum());
        let without_effect = self.counters.without_effect();
        for read in bundle::read(frames, Recipient::Broker) {
            load.envelopes += 1;
            match read {
                Ok(envelope) => {
                    load.uncredited += usize::from(is_uncredited(&envelope));
                    self.handle_envelope(now, connection, envelope, out);
                }
                Err(refused) => self.on_unreadable(now, connection, refused, out),
            }
        }
        load.uncredited += usize::try_from(self.counters.without_effect() - without_effect).unwrap_or(usize::MAX);
        self.finish_step(now, out);
        load
    }

    /// Handles an event. Does nothing after [`Action::Stopped`].
    pub fn handle_event(&mut self, now: Time, event: Event, out: &mut Vec<Action>) {
        if self.lifecycle.stopped {
            return;
        }
        self.detect_stall(now);
        match event {
            Event::Opened { connection, endpoint, address, rate_limit_key, channel, nonce, until } => {
                let origin = PeerOrigin { address, rate_limit_key, channel };
                self.connections.open(connection, endpoint, origin, nonce, until, &mut self.timers);
            }
            Event::Activity { connection } => self.record_activity(now, connection, 0),
            Event::ProtocolViolation { connection, violation } => {
                self.on_protocol_violation(now, connection, violation, out);
            }
            Event::Closed { connection } => self.on_closed(now, connection, out),
            Event::Peers(peers) => self.replace_peers(now, peers, out),
            Event::Gate(status) => self.gate = *status,
            Event::Timeout => self.handle_timeout(now, out),
            Event::Shutdown { deadline } => self.shut_down(now, deadline, out),
        }
        self.finish_step(now, out);
    }

    /// Returns when the machine needs [`Event::Timeout`], if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.first_timer().map(|(at, _)| at).filter(|_| !self.lifecycle.stopped)
    }

    /// Returns what the machine has counted since its start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns the principal of a connection, once it is authenticated.
    pub fn principal(&self, connection: ConnectionId) -> Option<&Principal> {
        match *self.connections.get(connection)? {
            ConnectionState::Client(key) => self.sessions.get(key).map(|client| client.principal()),
            ConnectionState::Worker(key) => self.registry.find_worker(key).map(|worker| &worker.principal),
            _ => None,
        }
    }

    /// Returns the number of cached replies: outcomes that clients have not acknowledged yet.
    pub fn cached_replies(&self) -> usize {
        self.sessions.iter().map(|(_, client)| client.cached_len()).sum()
    }

    /// Returns the bytes of all streams' items that were written and not granted again: what the broker, its connections and the readers
    /// hold of them at most. [`crate::wire::limits::STREAM_BYTES`] limits each stream.
    pub fn stream_bytes(&self) -> u64 {
        self.streams.held_bytes()
    }

    /// Returns the state of the broker.
    pub fn status(&self, now: Time) -> Status {
        admin::status(self, now)
    }

    /// Returns the counters, histograms and gauges of the broker.
    pub fn metrics(&self, now: Time) -> Metrics {
        admin::metrics(self, now)
    }

    /// Returns the services that have workers.
    pub fn service_statuses(&self, now: Time) -> Vec<ServiceStatus> {
        admin::service_statuses(self, now)
    }

    /// Returns what operators have paused and limited.
    pub fn operator_limits(&self) -> LimitsStatus {
        admin::limits(self)
    }

    /// Returns the peers from the one with this number on, as many as a result may hold.
    pub fn peers(&self, now: Time, from: u64) -> Peers {
        admin::peers(self, now, from)
    }

    /// Returns the load of the workers of `pool`.
    pub fn load(&self, now: Time, pool: &str) -> Load {
        admin::load(self, now, pool)
    }

    /// Returns the oldest open calls and what each waits for.
    pub fn open_calls(&self, now: Time) -> Vec<WaitReason> {
        admin::open_calls(self, now)
    }

    /// Asserts the machine's invariants. For tests and the simulation, which call it after every step.
    ///
    /// # Panics
    /// If one does not hold: a bug of the machine.
    pub fn assert_invariants(&self) {
        invariants::assert_all(self);
    }

    fn handle_envelope(&mut self, now: Time, connection: ConnectionId, envelope: Envelope, out: &mut Vec<Action>) {
        match self.connections.get(connection) {
            Some(&ConnectionState::Client(client)) => self.on_client_message(now, client, envelope, out),
            Some(&ConnectionState::Worker(worker)) => self.on_worker_message(now, worker, envelope, out),
            Some(_) => self.on_handshake_message(now, connection, envelope, out),
            // The machine closed the connection; the rest of its bundle is dropped.
            None => {}
        }
    }

    fn on_client_message(&mut self, now: Time, client: ClientKey, envelope: Envelope, out: &mut Vec<Action>) {
        match envelope {
            Envelope::Request(request) => self.on_request(now, client, request, out),
            Envelope::Cancel(cancel) => self.on_cancel(now, client, cancel, out),
            Envelope::Items(items) => self.on_caller_items(now, client, items, out),
            Envelope::End(end) => self.on_caller_end(now, client, end, out),
            Envelope::StreamCredit(credit) => self.on_caller_credit(now, client, credit, out),
            Envelope::Ping(ping) => self.on_client_ping(now, client, ping, out),
            Envelope::Pong(_) => {}
            Envelope::Goodbye(_) => self.on_client_goodbye(now, client, out),
            other => self.on_unexpected_message(now, self.sessions.connection_of(client), &other, out),
        }
    }

    fn on_worker_message(&mut self, now: Time, worker: WorkerKey, envelope: Envelope, out: &mut Vec<Action>) {
        match envelope {
            Envelope::Register(body) => self.on_register(now, worker, &body, out),
            Envelope::Reply(reply) => self.on_reply(now, worker, reply, out),
            Envelope::Started(number) => self.on_started(now, worker, number, out),
            Envelope::Handback(number) => self.on_handback(now, worker, number, out),
            Envelope::Credit(credit) => self.on_worker_credit(now, worker, credit, out),
            Envelope::KeyFreed(freed) => self.on_key_freed(now, worker, &freed, out),
            Envelope::Items(items) => self.on_handler_items(now, worker, items, out),
            Envelope::StreamCredit(credit) => self.on_handler_credit(now, worker, credit, out),
            Envelope::Progress(number, body) => self.on_handler_progress(now, worker, number, body, out),
            Envelope::Drain => self.on_drain(now, worker, out),
            Envelope::Ping(Ping { number, .. }) => self.registry.send(now, worker, Envelope::Pong(number), out),
            Envelope::Pong(_) => {}
            Envelope::Goodbye(_) => self.on_worker_goodbye(now, worker, out),
            other => self.on_unexpected_message(now, self.registry.connection_of(worker), &other, out),
        }
    }

    /// Handles a message that its sender must not send, or not in this state.
    fn on_unexpected_message(
        &mut self,
        now: Time,
        connection: Option<ConnectionId>,
        envelope: &Envelope,
        out: &mut Vec<Action>,
    ) {
        let Some(connection) = connection else { return };
        self.counters.refused += 1;
        let message = format!("unexpected message: {:?}", envelope.kind()).to_lowercase();
        self.disconnect(now, connection, Failure::new(Code::FailedPrecondition, Executed::No, message), out);
    }

    /// Handles a message that could not be decoded. It is answered if its number could be decoded and its sender is
    /// authenticated.
    fn on_unreadable(&mut self, now: Time, connection: ConnectionId, refused: EnvelopeError, out: &mut Vec<Action>) {
        self.counters.refused += 1;
        self.record_limit_hit(connection);
        match self.connections.get(connection) {
            Some(&ConnectionState::Client(client)) => self.on_unreadable_of_client(now, client, &refused, out),
            Some(&ConnectionState::Worker(worker)) => self.on_unreadable_of_worker(now, worker, &refused, out),
            // A rejected peer is ignored until it is disconnected.
            Some(ConnectionState::Rejected { .. }) | None => {}
            Some(_) => {
                let failure = Failure::new(refused.code(), Executed::No, refused.to_string());
                self.disconnect(now, connection, failure, out);
            }
        }
        out.push(Action::Log(Diagnostic::UnreadableEnvelope { connection, refused }));
    }

    fn record_activity(&mut self, now: Time, connection: ConnectionId, bytes: usize) {
        if let Some(peer) = self.peer_connection(connection) {
            peer.record_activity(now, bytes);
        }
    }

    /// Records that a peer met a limit.
    pub(super) fn record_limit_hit(&mut self, connection: ConnectionId) {
        if let Some(peer) = self.peer_connection(connection) {
            peer.limits_hit += 1;
        }
    }

    fn peer_connection(&mut self, connection: ConnectionId) -> Option<&mut PeerConnection> {
        match *self.connections.get(connection)? {
            ConnectionState::Client(key) => self.sessions.get_mut(key)?.connection_mut(),
            ConnectionState::Worker(key) => self.registry.find_worker_mut(key).map(|worker| &mut worker.connection),
            _ => None,
        }
    }

    /// Records a stall: the machine was not run at the time that it had returned from `poll_timeout`, because its
    /// process was stopped or the clock jumped. After a stall, a silent peer is lost only after one more interval.
    pub(super) fn detect_stall(&mut self, now: Time) {
        if self.poll_timeout().is_some_and(|due| now.since(due) > self.settings.heartbeat) {
            self.lifecycle.stall_recovered_at = now;
        }
    }

    /// Finishes the handling of an event: performs the deferred work, and stops a broker whose shutdown is complete.
    pub(super) fn finish_step(&mut self, now: Time, out: &mut Vec<Action>) {
        self.run_deferred(now, out);
        if self.lifecycle.is_shutting_down() && self.calls.is_empty() {
            self.stop(now, out);
        }
    }

    fn run_deferred(&mut self, now: Time, out: &mut Vec<Action>) {
        while let Some(work) = self.deferred.pop() {
            match work {
                DeferredWork::NextOfKey(service, key) => self.schedule_next_of_key(now, service, &key, out),
                DeferredWork::RescheduleBucket(service, bucket) => self.reschedule_bucket(now, service, bucket, out),
                DeferredWork::FillService(service) => self.fill_service(now, service, out),
            }
        }
    }

    fn handle_timeout(&mut self, now: Time, out: &mut Vec<Action>) {
        // One of the timers may stop the broker. Then the others are ignored.
        while let Some((at, timer)) = self.first_timer().filter(|(at, _)| *at <= now && !self.lifecycle.stopped) {
            match timer {
                Timer::Call(call) => self.calls.cancel_timeout(call),
                _ => self.timers.cancel(at, timer),
            }
            self.fire(now, timer, out);
        }
    }

    /// Returns the timer that is due first, those of calls included.
    fn first_timer(&self) -> Option<(Time, Timer)> {
        let call = self.calls.first_timeout().map(|(at, call)| (at, Timer::Call(call)));
        self.timers.first().into_iter().chain(call).min()
    }

    fn fire(&mut self, now: Time, timer: Timer, out: &mut Vec<Action>) {
        match timer {
            Timer::Handshake(connection) => self.on_handshake_timeout(now, connection, out),
            Timer::ClientHeartbeat(client) => self.on_client_heartbeat(now, client, out),
            Timer::WorkerHeartbeat(worker) => self.on_worker_heartbeat(now, worker, out),
            Timer::ClientExpiry(client) => self.on_client_expiry(now, client, out),
            Timer::Call(call) => self.on_call_timeout(now, call, out),
            Timer::ServiceExpiry(service) => self.on_service_expiry(now, service),
            Timer::OfferPause(worker, offer) => self.on_pause_end(now, worker, offer, out),
            Timer::OperatorRate(service) => self.on_rate_refill(now, service),
            Timer::AffinityStart => self.affinity.start(&mut self.deferred),
            Timer::Shutdown => self.stop(now, out),
        }
    }

    /// Returns when the machine last recovered from a stall, and the broker's own heartbeat interval.
    pub(super) fn heartbeat_parameters(&self) -> (Time, Duration) {
        (self.lifecycle.stall_recovered_at, self.settings.heartbeat)
    }
}

/// Returns whether a peer may send an envelope at any time, because neither credit nor a call bounds it.
fn is_uncredited(envelope: &Envelope) -> bool {
    matches!(
        envelope,
        Envelope::Ping(_) | Envelope::Pong(_) | Envelope::Credit(_) | Envelope::KeyFreed(_) | Envelope::Drain
    )
}
