//! Peers that leave or are lost, and the broker's own end.

use bytestring::ByteString;

use super::{
    Action, Broker, Diagnostic,
    arrival::Arrival,
    call::{CallKey, State},
    client::ClientKey,
    presence::Presence,
    service::{Service, ServiceKey},
    timers::Timer,
    worker::WorkerKey,
};
use crate::{
    time::Time,
    wire::{
        envelope::{Effect, Envelope},
        ids::ConnectionId,
        limits::CLIENT_RETURN_HEARTBEATS,
        status::{Code, Executed, Failure},
    },
    zmtp::Violation,
};

impl Broker {
    /// A sign of life.
    pub(super) fn hear(&mut self, now: Time, connection: ConnectionId, bytes: usize) {
        if let Some(presence) = self.presence(connection) {
            presence.heard = now;
            presence.bytes_in += bytes as u64;
        }
    }

    /// A peer went as far as a limit.
    pub(super) fn met_limit(&mut self, connection: ConnectionId) {
        if let Some(presence) = self.presence(connection) {
            presence.limits_hit += 1;
        }
    }

    fn presence(&mut self, connection: ConnectionId) -> Option<&mut Presence> {
        match self.connections.get(&connection)? {
            Arrival::Client(key) => self.clients.get_mut(key)?.presence.as_mut(),
            Arrival::Worker(key) => self.workers.get_mut(key).map(|worker| &mut worker.presence),
            _ => None,
        }
    }

    /// A connection is gone.
    pub(super) fn closed(&mut self, now: Time, connection: ConnectionId, out: &mut Vec<Action>) {
        match self.connections.remove(&connection) {
            Some(Arrival::Client(key)) => self.lose_client(now, key, out),
            Some(Arrival::Worker(key)) => self.lose_worker(now, key, "its connection was closed", out),
            Some(
                Arrival::Silent { until, .. } | Arrival::Challenged { until, .. } | Arrival::Unproven { until, .. },
            ) => {
                self.timers.remove(&(until, Timer::Handshake(connection)));
            }
            None => {}
        }
    }

    /// A peer broke the rules of its transport: nothing of it can be read any more, but it may yet hear why.
    pub(super) fn broken(&mut self, now: Time, connection: ConnectionId, violation: Violation, out: &mut Vec<Action>) {
        let code = match violation {
            Violation::MessageTooLarge { .. } | Violation::CommandTooLarge { .. } | Violation::TooManyFrames { .. } => {
                Code::ResourceExhausted
            }
            // Our fault, and perhaps a short one.
            Violation::NoMemory { .. } => Code::Unavailable,
            _ => Code::InvalidArgument,
        };
        if self.connections.contains_key(&connection) {
            self.send_away(now, connection, Failure::new(code, Executed::No, violation.to_string()), out);
        } else {
            // It was sent away already, and its last words are on their way.
            out.push(Action::Close(connection));
        }
    }

    /// Sends a peer away: it is told why, its connection closed, and what it left is as if it were lost.
    pub(super) fn send_away(&mut self, now: Time, connection: ConnectionId, failure: Failure, out: &mut Vec<Action>) {
        if !self.connections.contains_key(&connection) {
            return;
        }
        self.counters.sent_away += 1;
        out.push(Action::Log(Diagnostic::SentAway {
            connection,
            code: failure.code,
            message: failure.message.clone(),
        }));
        out.push(Action::Send(connection, Envelope::Goodbye(Some(Box::new(failure)))));
        out.push(Action::Close(connection));
        match self.connections.get(&connection) {
            Some(&Arrival::Client(key)) => {
                self.lose_client(now, key, out);
                self.connections.remove(&connection);
            }
            Some(&Arrival::Worker(key)) => {
                self.lose_worker(now, key, "it was sent away", out);
                self.connections.remove(&connection);
            }
            _ => self.closed(now, connection, out),
        }
    }

    /// A client says goodbye: its session ends, and with it the calls that wait for an answer; casts run on.
    pub(super) fn client_leaves(&mut self, now: Time, key: ClientKey, out: &mut Vec<Action>) {
        self.speak_to_client(now, key, Envelope::Goodbye(None), out);
        if let Some(presence) = self.clients.get_mut(&key).and_then(|client| client.presence.take()) {
            self.drop_connection(&presence, Timer::Client(key), out);
        }
        self.forget_client(now, key, out);
    }

    pub(super) fn client_silent(&mut self, now: Time, key: ClientKey, out: &mut Vec<Action>) {
        if let Some(connection) = self.client_connection(key) {
            self.connections.remove(&connection);
            self.lose_client(now, key, out);
            out.push(Action::Close(connection));
        }
    }

    /// A client's connection is gone: its calls live on for a while, for it may come back; those with items on the way end.
    fn lose_client(&mut self, now: Time, key: ClientKey, out: &mut Vec<Action>) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let Some(presence) = client.presence.take() else { return };
        self.timers.remove(&(presence.timer, Timer::Client(key)));
        client.gone_at = now + client.interval * CLIENT_RETURN_HEARTBEATS;
        self.timers.insert((client.gone_at, Timer::ClientGone(key)));
        self.end_streams_of(now, key, out);
        self.go_away(now, key, out);
    }

    /// A client does not come back, or may not: its waiting calls are dropped, its running ones cancelled.
    pub(super) fn forget_client(&mut self, now: Time, key: ClientKey, out: &mut Vec<Action>) {
        self.come_back(key);
        let Some(client) = self.clients.remove(&key) else { return };
        self.sessions.remove(&client.session);
        self.outcome_bytes -= client.outcome_bytes();
        self.parties.leave(client.party);
        self.timers.remove(&(client.gone_at, Timer::ClientGone(key)));
        let open: Vec<CallKey> = client.open.values().copied().collect();
        out.push(Action::Log(Diagnostic::ClientGone { name: client.name, open: open.len() }));
        for call in open {
            self.abandon(now, call, out);
        }
    }

    /// Forgets a connection that is being replaced or was ended in order.
    pub(super) fn drop_connection(&mut self, presence: &Presence, timer: Timer, out: &mut Vec<Action>) {
        self.timers.remove(&(presence.timer, timer));
        self.connections.remove(&presence.connection);
        out.push(Action::Close(presence.connection));
    }

    /// A worker says goodbye. What it still had, if anything, is treated as lost: it promised to finish or hand back first.
    pub(super) fn worker_leaves(&mut self, now: Time, key: WorkerKey, out: &mut Vec<Action>) {
        self.speak_to_worker(now, key, Envelope::Goodbye(None), out);
        self.end_waiting_parts(now, key, out);
        let worker = &self.workers[&key];
        let connection = worker.presence.connection;
        if worker.running.is_empty() {
            out.push(Action::Log(Diagnostic::WorkerLeft { name: worker.name.clone() }));
            self.remove_worker(now, key);
        } else {
            self.lose_worker(now, key, "it left before it had finished", out);
        }
        self.connections.remove(&connection);
        out.push(Action::Close(connection));
    }

    pub(super) fn worker_silent(&mut self, now: Time, key: WorkerKey, out: &mut Vec<Action>) {
        let connection = self.workers[&key].presence.connection;
        self.lose_worker(now, key, "it was silent for too long", out);
        self.connections.remove(&connection);
        out.push(Action::Close(connection));
    }

    /// A worker is lost: its calls go to others if they may, else end without anybody knowing whether they ran.
    pub(super) fn lose_worker(&mut self, now: Time, key: WorkerKey, why: &'static str, out: &mut Vec<Action>) {
        self.end_waiting_parts(now, key, out);
        let running = self.remove_worker(now, key);
        let Some((name, calls)) = running else { return };
        self.counters.workers_lost += 1;
        out.push(Action::Log(Diagnostic::WorkerLost { name: name.clone(), why, running: calls.len() }));
        for call in calls {
            self.repeat(now, call, &name, out);
        }
    }

    fn repeat(&mut self, now: Time, key: CallKey, worker: &str, out: &mut Vec<Action>) {
        self.leave_method(key);
        let call = &mut self.calls[key.0];
        call.lost += 1;
        call.count_time(now, true);
        call.leave_worker();
        if call.part_of.is_some() {
            let message = format!("worker {worker} was lost while it had the call");
            return self.fail(now, key, Code::Unavailable, message, out);
        }
        if call.client.is_none() {
            self.take(key);
            return;
        }
        if !call.may_run(Effect::Read) {
            let touched = call.is_touched();
            if !touched {
                self.bury(now, key, out);
            }
            let what = if touched { "items were on the way" } else { "it had the call" };
            let message = format!("worker {worker} was lost while {what}");
            return self.fail(now, key, Code::Unavailable, message, out);
        }
        let service = self.services.get_mut(&call.service).expect("it has this call");
        if !service.retries.take(now, &self.settings) {
            let message = format!("worker {worker} was lost with the call, and {} has no retries left", service.name);
            return self.fail(now, key, Code::Unavailable, message, out);
        }
        self.counters.repeated += 1;
        let call = &self.calls[key.0];
        out.push(Action::Log(Diagnostic::Repeated { call: call.id, lost: call.lost }));
        self.place_again(now, key, out);
    }

    /// Takes a worker out of every table. What it ran is the caller's to place.
    fn remove_worker(&mut self, now: Time, key: WorkerKey) -> Option<(ByteString, Vec<CallKey>)> {
        let worker = self.workers.get(&key)?;
        self.timers.remove(&(worker.presence.timer, Timer::Worker(key)));
        self.sessions.remove(&worker.session);
        self.withdraw_offers(now, key);
        let worker = self.workers.remove(&key)?;
        Some((worker.name, worker.running.values().copied().collect()))
    }

    /// A worker serves nothing any more. Calls that waited for it alone are given a time to wait for another.
    pub(super) fn withdraw_offers(&mut self, now: Time, key: WorkerKey) {
        self.unbind(key);
        self.let_go_all(key);
        let Some(worker) = self.workers.get_mut(&key) else { return };
        let awaited_until = now + self.settings.service_return;
        let mut touched = Vec::new();
        for (at, offer) in std::mem::take(&mut worker.offers).into_iter().enumerate() {
            let service = self.services.get_mut(&offer.service).expect("an offered service exists");
            service.free.remove(&offer.candidate(key, at));
            if let Some(until) = offer.resting {
                self.timers.remove(&(until, Timer::Rest(key, at)));
            }
            service.offers -= 1;
            if service.offers == 0 {
                self.served.remove(&service.name);
            }
            service.slots -= u64::from(offer.slots);
            service.running -= u64::from(offer.running);
            service.awaited_until = awaited_until;
            service.exclusive = service.exclusive.filter(|&owner| owner != key);
            offer.contract.iter().for_each(|&hash| service.contracts.remove(hash));
            offer.methods.iter().for_each(|served| service.remove(served.method, served.effect, awaited_until));
            touched.push(offer.service);
        }
        touched.sort_unstable();
        touched.dedup();
        self.own_answers.clear();
        for service in touched {
            self.services.get_mut(&service).expect("an offered service exists").workers -= 1;
            self.limit_patience(service, awaited_until);
            self.watch_service(now, service);
        }
    }

    /// Calls that wait for a method that nobody has any more wait until then at most.
    fn limit_patience(&mut self, service: ServiceKey, until: Time) {
        let Some(service) = self.services.get(&service) else { return };
        if service.methods.iter().all(|method| method.is_offered()) {
            return;
        }
        let orphaned = |key: &CallKey| {
            let call = &self.calls[key.0];
            !call.wait_for_ready && call.method_number.is_none_or(|method| !service.methods[method].is_offered())
        };
        let waiting: Vec<_> = service.queue.iter().filter(orphaned).collect();
        for key in waiting {
            if let State::Waiting { give_up: give_up @ None, .. } = &mut self.calls[key.0].state {
                *give_up = Some(until);
                self.watch_call(key);
            }
        }
    }

    /// Sets the timer after which a service that nobody serves and nobody waits for is forgotten.
    pub(super) fn watch_service(&mut self, now: Time, key: ServiceKey) {
        let Some(service) = self.services.get_mut(&key) else { return };
        let at = now + self.settings.service_return;
        if let Some(old) = service.timer.replace(at) {
            self.timers.remove(&(old, Timer::Service(key)));
        }
        self.timers.insert((at, Timer::Service(key)));
    }

    pub(super) fn forget_service(&mut self, now: Time, key: ServiceKey) {
        let Some(service) = self.services.get_mut(&key) else { return };
        service.timer = None;
        if service.offers > 0 {
            return;
        }
        if service.calls > 0 || service.awaited_until > now {
            return self.watch_service(now, key);
        }
        self.remove_service(key);
    }

    /// Forgets a service that has neither offers nor calls.
    pub(super) fn remove_service(&mut self, key: ServiceKey) {
        let Some(service) = self.services.remove(&key) else { return };
        self.service_names.remove(&service.name);
        if let Some(at) = service.timer {
            self.timers.remove(&(at, Timer::Service(key)));
        }
    }

    /// The operator wants the broker to end.
    pub(super) fn shutdown(&mut self, now: Time, deadline: Time, out: &mut Vec<Action>) {
        if self.leaving.is_some() {
            return;
        }
        self.leaving = Some(deadline);
        self.timers.insert((deadline, Timer::Shutdown));
        let waiting: Vec<_> = self.services.values().flat_map(Service::waiting_calls).collect();
        for call in waiting {
            self.fail(now, call, Code::Unavailable, "the broker is shutting down", out);
        }
    }

    /// Ends the broker if it is leaving and nothing runs any more.
    pub(super) fn stop_if_idle(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.leaving.is_some() && self.calls.is_empty() {
            self.stop(now, out);
        }
    }

    /// Says goodbye to everybody. What still runs ends for its clients here.
    pub(super) fn stop(&mut self, now: Time, out: &mut Vec<Action>) {
        if std::mem::replace(&mut self.stopped, true) {
            return;
        }
        let running: Vec<_> = self.calls.iter().map(|(key, _)| CallKey(key)).collect();
        for key in running {
            // A broadcast ends with its last part, and may be gone with that.
            if self.calls.get(key.0).is_none_or(|call| call.gathering.is_some()) {
                continue;
            }
            let failure = self.calls[key.0].failure(Code::Unavailable, "the broker was shut down while the call ran");
            self.settle(now, key, Err(Box::new(failure)), bytes::Bytes::new(), out);
        }
        for &connection in self.connections.keys() {
            let failure = Failure::new(Code::Unavailable, Executed::No, "the broker is shutting down");
            out.push(Action::Send(connection, Envelope::Goodbye(Some(Box::new(failure)))));
            out.push(Action::Close(connection));
        }
        out.push(Action::Stopped);
    }
}
