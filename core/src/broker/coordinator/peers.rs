//! The lifecycle of peers, and of the broker itself.

use super::super::{
    calls::CallState,
    handshake::{self, Admission, ConnectionState, HandshakeContext, rejection},
    interface::{Action, Diagnostic},
    keys::{CallKey, ClientKey, ServiceKey, WorkerKey},
    registry::{Service, Worker},
    scheduling::TenantName,
    sessions::{ClientAdmission, CreditAccount, HeartbeatDue, PeerConnection, SessionOwner},
    timers::Timer,
};
use super::state::Broker;
use crate::{
    auth::{PeerDirectory, Principal},
    time::Time,
    wire::{
        envelope::{Credit, Envelope, Ping},
        extensions::Extensions,
        handshake::{Hello, Role},
        ids::ConnectionId,
        status::{Code, Executed, Failure},
    },
    zmtp::Violation,
};

/// The ping of the broker, which has no number and acknowledges nothing.
const PING: Envelope = Envelope::Ping(Ping { number: 0, done_below: None });

impl Broker {
    pub(super) fn on_handshake_message(
        &mut self,
        now: Time,
        connection: ConnectionId,
        envelope: Envelope,
        out: &mut Vec<Action>,
    ) {
        let context = HandshakeContext {
            settings: &self.settings,
            identity: &self.identity,
            timers: &mut self.timers,
            counters: &mut self.counters,
        };
        let handled = self.connections.handle_message(now, connection, envelope, context, out);
        let admitted = handled.and_then(|admission| match admission {
            Some(admission) => self.admit(now, connection, admission, out),
            None => Ok(()),
        });
        if let Err(failure) = admitted {
            self.disconnect(now, connection, *failure, out);
        }
    }

    fn admit(
        &mut self,
        now: Time,
        connection: ConnectionId,
        admission: Admission,
        out: &mut Vec<Action>,
    ) -> Result<(), Box<Failure>> {
        self.check_session(&admission.hello)?;
        if self.lifecycle.is_shutting_down() {
            return Err(rejection(Code::Unavailable, "the broker is shutting down"));
        }
        self.connections.remove(connection, &mut self.timers);
        out.push(Action::Authenticated(connection));
        let welcome = handshake::welcome(&self.settings, &self.identity, admission.authenticated.key.as_ref());
        out.push(Action::Send(connection, welcome));
        match admission.hello.role {
            Role::Client => self.admit_client(now, connection, admission, out),
            Role::Worker => self.admit_worker(now, connection, admission, out),
        }
        Ok(())
    }

    /// Checks that no other role, and no later connection, has the session.
    fn check_session(&self, hello: &Hello) -> Result<(), Box<Failure>> {
        let latest = match self.sessions.owner(&hello.session) {
            None => return Ok(()),
            Some(SessionOwner::Client(key)) if hello.role == Role::Client => {
                self.sessions.get(key).map(|client| client.connection_number())
            }
            Some(SessionOwner::Worker(key)) if hello.role == Role::Worker => {
                Some(self.registry.worker(key).connection_number)
            }
            Some(_) => {
                return Err(rejection(Code::FailedPrecondition, "the session belongs to a peer of another role"));
            }
        };
        match latest.is_some_and(|latest| hello.connection <= latest) {
            true => Err(rejection(Code::FailedPrecondition, "the session has a later connection")),
            false => Ok(()),
        }
    }

    fn admit_client(&mut self, now: Time, connection: ConnectionId, admission: Admission, out: &mut Vec<Action>) {
        let Admission { hello, origin, authenticated } = admission;
        let principal = authenticated.principal;
        let known = match self.sessions.owner(&hello.session) {
            Some(SessionOwner::Client(key)) => Some(key),
            _ => None,
        };
        let new = || ClientKey::new(self.key_source.next()).expect("the numbers start with 1");
        let key = known.unwrap_or_else(new);
        if let Some(old) = self.sessions.detach(key, &mut self.timers) {
            self.close(old.id, out);
            self.end_streams_of(now, key, out);
        }
        out.push(Action::Log(Diagnostic::ClientConnected {
            connection,
            name: hello.instance.clone(),
            again: known.is_some(),
            key: principal.name().map(ToString::to_string),
        }));
        let tenant = principal
            .name()
            .map_or(TenantName::Origin(origin.rate_limit_key), |name| TenantName::Key(name.to_string()));
        let window = Credit { calls: self.settings.credit_calls, bytes: self.settings.credit_bytes, offer: 0 };
        let peer = PeerConnection::new(connection, origin.address, &hello, now);
        let tenant = self.tenants.join(tenant);
        let credit = CreditAccount::new(window);
        let admission = ClientAdmission { hello, principal, tenant, credit, connection: peer };
        self.sessions.attach(key, admission, &mut self.tenants, &mut self.timers);
        self.connections.set_client(connection, key);
        self.schedule_client_heartbeat(key);
    }

    fn admit_worker(&mut self, now: Time, connection: ConnectionId, admission: Admission, out: &mut Vec<Action>) {
        let Admission { hello, origin, authenticated } = admission;
        if let Some(SessionOwner::Worker(old)) = self.sessions.owner(&hello.session) {
            let old_connection = self.registry.worker(old).connection.id;
            self.lose_worker(now, old, "it reconnected", out);
            self.close(old_connection, out);
        }
        let key = WorkerKey(self.key_source.next());
        let peer = PeerConnection::new(connection, origin.address, &hello, now);
        self.sessions.claim_for_worker(hello.session, key);
        self.connections.set_worker(connection, key);
        self.registry.add_worker(key, Worker::new(hello, authenticated.principal, peer));
        self.schedule_worker_heartbeat(key);
    }

    pub(super) fn on_handshake_timeout(&mut self, now: Time, connection: ConnectionId, out: &mut Vec<Action>) {
        let (failure, was_rejected) = self.connections.timeout_failure(connection);
        if !was_rejected {
            return self.disconnect(now, connection, failure, out);
        }
        // The rejection was logged when it was decided.
        self.counters.sent_away += 1;
        out.push(Action::Send(connection, Envelope::Goodbye(Some(Box::new(failure)))));
        self.close(connection, out);
    }

    /// Handles the end of a connection: its client or worker is lost.
    pub(super) fn on_closed(&mut self, now: Time, connection: ConnectionId, out: &mut Vec<Action>) {
        match self.connections.remove(connection, &mut self.timers) {
            Some(ConnectionState::Client(key)) => self.lose_client(now, key, out),
            Some(ConnectionState::Worker(key)) => self.lose_worker(now, key, "its connection was closed", out),
            _ => {}
        }
    }

    /// Handles a violation of the transport's rules. Nothing more can be read from the peer, but the reason can be sent
    /// to it.
    pub(super) fn on_protocol_violation(
        &mut self,
        now: Time,
        connection: ConnectionId,
        violation: Violation,
        out: &mut Vec<Action>,
    ) {
        let code = match violation {
            Violation::MessageTooLarge { .. } | Violation::CommandTooLarge { .. } | Violation::TooManyFrames { .. } => {
                Code::ResourceExhausted
            }
            // The broker's own lack of memory, which may be over soon.
            Violation::NoMemory { .. } => Code::Unavailable,
            _ => Code::InvalidArgument,
        };
        if self.connections.get(connection).is_some() {
            self.disconnect(now, connection, Failure::new(code, Executed::No, violation.to_string()), out);
        } else {
            // It was disconnected before, and the last messages to it are on their way.
            out.push(Action::Close(connection));
        }
    }

    /// Disconnects a peer: sends it the reason, closes the connection, and treats the peer as lost.
    pub(super) fn disconnect(&mut self, now: Time, connection: ConnectionId, failure: Failure, out: &mut Vec<Action>) {
        if self.connections.get(connection).is_none() {
            return;
        }
        self.counters.sent_away += 1;
        let (code, message) = (failure.code, failure.message.clone());
        out.push(Action::Log(Diagnostic::Disconnected { connection, code, message }));
        out.push(Action::Send(connection, Envelope::Goodbye(Some(Box::new(failure)))));
        out.push(Action::Close(connection));
        match self.connections.get(connection) {
            Some(&ConnectionState::Client(key)) => {
                self.lose_client(now, key, out);
                self.connections.remove(connection, &mut self.timers);
            }
            Some(&ConnectionState::Worker(key)) => {
                self.lose_worker(now, key, "the broker disconnected it", out);
                self.connections.remove(connection, &mut self.timers);
            }
            _ => self.on_closed(now, connection, out),
        }
    }

    /// Removes a connection from the table, and closes it.
    fn close(&mut self, connection: ConnectionId, out: &mut Vec<Action>) {
        self.connections.remove(connection, &mut self.timers);
        out.push(Action::Close(connection));
    }

    /// Replaces the peers that the broker knows, and applies the change to those that are connected.
    pub(super) fn replace_peers(&mut self, now: Time, peers: PeerDirectory, out: &mut Vec<Action>) {
        let clients: Vec<_> = self.sessions.iter().map(|(key, client)| (key, client.principal().clone())).collect();
        for (key, principal) in clients {
            match renewed(&principal, &peers, Role::Client) {
                Ok(principal) => self.sessions.client_mut(key).set_principal(principal),
                Err(failure) => self.revoke_client(now, key, *failure, out),
            }
        }
        let workers: Vec<_> = self.registry.workers().map(|(key, worker)| (key, worker.principal.clone())).collect();
        for (key, principal) in workers {
            let checked = renewed(&principal, &peers, Role::Worker)
                .and_then(|principal| self.registry.check_services(key, &principal).map(|()| principal));
            match checked {
                Ok(principal) => self.registry.worker_mut(key).principal = principal,
                Err(failure) => self.disconnect(now, self.registry.worker(key).connection.id, *failure, out),
            }
        }
        self.settings.peers = Some(peers);
    }

    /// Ends the connection and the session of a client: its waiting calls are dropped, and its running ones cancelled.
    fn revoke_client(&mut self, now: Time, key: ClientKey, failure: Failure, out: &mut Vec<Action>) {
        if let Some(connection) = self.sessions.connection_of(key) {
            self.disconnect(now, connection, failure, out);
        }
        self.end_session(now, key, out);
    }

    /// Handles the goodbye of a client: its session ends, and with it the calls that wait for an outcome. Its casts
    /// continue.
    pub(super) fn on_client_goodbye(&mut self, now: Time, key: ClientKey, out: &mut Vec<Action>) {
        self.sessions.send(now, key, Envelope::Goodbye(None), out);
        if let Some(connection) = self.sessions.detach(key, &mut self.timers) {
            self.close(connection.id, out);
        }
        self.end_session(now, key, out);
    }

    pub(super) fn on_client_heartbeat(&mut self, now: Time, key: ClientKey, out: &mut Vec<Action>) {
        let (stall_recovered_at, heartbeat) = self.heartbeat_parameters();
        let Some(connection) = self.sessions.get(key).and_then(|client| client.connection()) else { return };
        match connection.heartbeat_due(now, stall_recovered_at, heartbeat) {
            HeartbeatDue::Lost => return self.lose_silent_client(now, key, out),
            HeartbeatDue::Ping => self.sessions.send(now, key, PING, out),
            HeartbeatDue::Nothing => {}
        }
        self.schedule_client_heartbeat(key);
    }

    fn schedule_client_heartbeat(&mut self, key: ClientKey) {
        let (stall_recovered_at, heartbeat) = self.heartbeat_parameters();
        self.sessions.schedule_heartbeat(key, stall_recovered_at, heartbeat, &mut self.timers);
    }

    fn lose_silent_client(&mut self, now: Time, key: ClientKey, out: &mut Vec<Action>) {
        if let Some(connection) = self.sessions.connection_of(key) {
            self.connections.remove(connection, &mut self.timers);
            self.lose_client(now, key, out);
            out.push(Action::Close(connection));
        }
    }

    /// Handles the loss of a client's connection. The client may reconnect, so its calls are kept for a while; those
    /// with stream items end.
    fn lose_client(&mut self, now: Time, key: ClientKey, out: &mut Vec<Action>) {
        if self.sessions.detach(key, &mut self.timers).is_none() {
            return;
        }
        self.sessions.schedule_expiry(now, key, &mut self.timers);
        self.end_streams_of(now, key, out);
        let evicted = self.sessions.list_disconnected(now, key, self.settings.disconnected_clients_max);
        if let Some(evicted) = evicted {
            self.end_session(now, evicted, out);
        }
    }

    /// Handles the expiry of a disconnected client: its session ends. After a stall of the machine, the client gets one
    /// more interval.
    pub(super) fn on_client_expiry(&mut self, now: Time, key: ClientKey, out: &mut Vec<Action>) {
        let Some(client) = self.sessions.get(key) else { return };
        let until = self.lifecycle.stall_recovered_at + client.interval();
        if until <= now {
            return self.end_session(now, key, out);
        }
        self.sessions.postpone_expiry(until, key, &mut self.timers);
    }

    /// Ends a client's session: its waiting calls are dropped, its running ones cancelled.
    fn end_session(&mut self, now: Time, key: ClientKey, out: &mut Vec<Action>) {
        let Some(client) = self.sessions.remove(key, &mut self.tenants, &mut self.timers) else { return };
        let open: Vec<CallKey> = client.open_calls().map(|(_, call)| call).collect();
        out.push(Action::Log(Diagnostic::SessionEnded { name: client.name().to_owned(), open: open.len() }));
        for call in open {
            self.abandon(now, call, out);
        }
    }

    /// Handles the goodbye of a worker. Before a goodbye, a worker must have finished its calls or handed them back.
    /// Calls that it still runs are treated as lost.
    pub(super) fn on_worker_goodbye(&mut self, now: Time, key: WorkerKey, out: &mut Vec<Action>) {
        self.registry.send(now, key, Envelope::Goodbye(None), out);
        self.end_waiting_subcalls(now, key, out);
        let worker = self.registry.worker(key);
        let connection = worker.connection.id;
        if worker.running.is_empty() {
            out.push(Action::Log(Diagnostic::WorkerDeregistered { name: worker.name(), pool: worker.pool.clone() }));
            self.remove_worker(now, key);
        } else {
            self.lose_worker(now, key, "it left before its calls had ended", out);
        }
        self.close(connection, out);
    }

    pub(super) fn on_worker_heartbeat(&mut self, now: Time, key: WorkerKey, out: &mut Vec<Action>) {
        let (stall_recovered_at, heartbeat) = self.heartbeat_parameters();
        let Some(worker) = self.registry.find_worker(key) else { return };
        let connection = worker.connection.id;
        match worker.connection.heartbeat_due(now, stall_recovered_at, heartbeat) {
            HeartbeatDue::Lost => {
                self.lose_worker(now, key, "it was silent for too long", out);
                return self.close(connection, out);
            }
            HeartbeatDue::Ping => self.registry.send(now, key, PING, out),
            HeartbeatDue::Nothing => {}
        }
        self.schedule_worker_heartbeat(key);
    }

    fn schedule_worker_heartbeat(&mut self, key: WorkerKey) {
        let (stall_recovered_at, heartbeat) = self.heartbeat_parameters();
        self.registry.schedule_heartbeat(key, stall_recovered_at, heartbeat, &mut self.timers);
    }

    /// Handles the loss of a worker: each of its calls is retried at another worker, or fails.
    fn lose_worker(&mut self, now: Time, key: WorkerKey, why: &'static str, out: &mut Vec<Action>) {
        self.end_waiting_subcalls(now, key, out);
        let Some(worker) = self.remove_worker(now, key) else { return };
        let calls: Vec<CallKey> = worker.running.values().copied().collect();
        self.counters.workers_lost += 1;
        out.push(Action::Log(Diagnostic::WorkerLost { name: worker.name(), why, running: calls.len() }));
        for call in calls {
            self.retry_or_fail(now, call, &worker.name, out);
        }
    }

    /// Removes a worker from every table. The caller must retry or end the calls that it ran.
    fn remove_worker(&mut self, now: Time, key: WorkerKey) -> Option<Worker> {
        let worker = self.registry.find_worker(key)?;
        self.timers.cancel(worker.connection.timer, Timer::WorkerHeartbeat(key));
        self.sessions.release(&worker.session);
        self.withdraw_offers(now, key);
        self.registry.remove_worker(key)
    }

    /// Withdraws all offers of a worker. Calls that waited for it alone wait for another one for a limited time.
    pub(super) fn withdraw_offers(&mut self, now: Time, key: WorkerKey) {
        self.unbind(key);
        self.affinity.release_all(key, &mut self.deferred);
        if self.registry.find_worker(key).is_none() {
            return;
        }
        let awaited_until = now + self.settings.service_return;
        let services = self.registry.withdraw_offers(key, awaited_until, &mut self.timers);
        self.admin.clear();
        for service in services {
            self.limit_waiting(service, awaited_until);
            self.registry.schedule_expiry(awaited_until, service, &mut self.timers);
        }
    }

    /// Limits how long calls wait for a method which no worker offers any more: they fail at `until`.
    fn limit_waiting(&mut self, key: ServiceKey, until: Time) {
        let service = self.registry.service(key);
        if service.methods().iter().all(|method| method.is_offered()) {
            return;
        }
        let unserved = |key: &CallKey| {
            let call = &self.calls[*key];
            !call.wait_for_ready && call.method_index().is_none_or(|method| !service.method(method).is_offered())
        };
        let waiting: Vec<_> = service.queue.iter().filter(unserved).collect();
        for key in waiting {
            if let CallState::Queued { give_up: give_up @ None, .. } = &mut self.calls[key].state {
                *give_up = Some(until);
                self.calls.schedule_timeout(key);
            }
        }
    }

    /// Takes all buckets of affinity keys away from a worker.
    pub(super) fn unbind(&mut self, key: WorkerKey) {
        let Some(worker) = self.registry.find_worker(key) else { return };
        let services = worker.offers().iter().map(|offer| offer.service);
        self.affinity.unbind(key, services, &mut self.deferred);
    }

    /// Handles the expiry timer of a service: removes the service if it has neither workers nor calls, and otherwise its methods that
    /// have neither.
    pub(super) fn on_service_expiry(&mut self, now: Time, key: ServiceKey) {
        self.registry.forget_unused_methods(now, key);
        let Some(service) = self.registry.find_service_mut(key) else { return };
        service.clear_expiry();
        if service.offers > 0 {
            return;
        }
        if service.calls > 0 || service.awaited_until > now || !service.operator_limits.is_empty() {
            let at = now + self.settings.service_return;
            return self.registry.schedule_expiry(at, key, &mut self.timers);
        }
        self.remove_service(key);
    }

    /// Removes a service that has neither offers nor calls.
    pub(super) fn remove_service(&mut self, key: ServiceKey) {
        self.registry.remove_service(key, &mut self.timers);
        self.affinity.remove_service(key);
    }

    /// Starts the shutdown of the broker: waiting calls fail, and running calls may finish until the deadline.
    pub(super) fn shut_down(&mut self, now: Time, deadline: Time, out: &mut Vec<Action>) {
        if self.lifecycle.is_shutting_down() {
            return;
        }
        self.lifecycle.shutdown_deadline = Some(deadline);
        self.timers.set(deadline, Timer::Shutdown);
        let waiting = |(key, service): (ServiceKey, &Service)| {
            service.queue.iter().chain(self.affinity.waiting_calls(key)).collect::<Vec<_>>()
        };
        let waiting: Vec<_> = self.registry.services().flat_map(waiting).collect();
        for call in waiting {
            self.fail(now, call, Code::Unavailable, "the broker is shutting down", out);
        }
    }

    /// Stops the broker: ends the calls that still run, and sends a goodbye to all peers.
    pub(super) fn stop(&mut self, now: Time, out: &mut Vec<Action>) {
        if std::mem::replace(&mut self.lifecycle.stopped, true) {
            return;
        }
        let running: Vec<_> = self.calls.iter().map(|(key, _)| key).collect();
        for key in running {
            // A broadcast ends with its last subcall, and may have been removed with it.
            let Some(call) = self.calls.get(key).filter(|call| call.aggregation.is_none()) else { continue };
            let failure = call.failure(Code::Unavailable, "the broker was shut down while the call ran");
            self.complete(now, key, Err(Box::new(failure)), Extensions::NONE, out);
        }
        for (connection, _) in self.connections.iter() {
            let failure = Failure::new(Code::Unavailable, Executed::No, "the broker is shutting down");
            out.push(Action::Send(connection, Envelope::Goodbye(Some(Box::new(failure)))));
            out.push(Action::Close(connection));
        }
        out.push(Action::Stopped);
    }
}

/// Returns the identity of a connected peer in a new directory.
///
/// # Errors
/// The failure that ends its connection: it is no longer known, or no longer has its role.
fn renewed(principal: &Principal, peers: &PeerDirectory, role: Role) -> Result<Principal, Box<Failure>> {
    let name = principal.name().map_or("-", AsRef::as_ref);
    let Some(renewed) = principal.in_directory(peers) else {
        let message = match peers.has_name(name) {
            true => format!("the key that peer {name} proved was removed: use another one of its keys"),
            false => format!("peer {name} was removed from the peers that the broker knows"),
        };
        return Err(rejection(Code::Unauthenticated, message));
    };
    match renewed.entry().is_none_or(|entry| entry.roles().permits(role)) {
        true => Ok(renewed),
        false => Err(rejection(Code::PermissionDenied, format!("peer {name} no longer has the role {role}"))),
    }
}
