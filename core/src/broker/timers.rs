//! Deadlines, heartbeats, and what has waited too long.

use std::time::Duration;

use super::{
    Action, Broker,
    call::{CallKey, State},
    client::ClientKey,
    presence::Presence,
    service::ServiceKey,
    worker::WorkerKey,
};
use crate::{
    deadline_queue::DeadlineKey,
    time::Time,
    wire::{
        envelope::{Envelope, Ping},
        ids::ConnectionId,
    },
};

/// What a timer is for. At most one of each is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A newcomer must have finished its handshake.
    Handshake(ConnectionId),
    /// A client must be spoken to, or is lost.
    Client(ClientKey),
    /// A worker must be spoken to, or is lost.
    Worker(WorkerKey),
    /// A lost client does not come back any more.
    ClientGone(ClientKey),
    /// A call's time is up, or it has waited long enough for a worker. Kept in the [`DeadlineQueue`].
    Call(CallKey),
    /// A service without workers is forgotten.
    Service(ServiceKey),
    /// An offer that gave a call back has rested.
    Rest(WorkerKey, usize),
    /// Calls with affinity keys may begin.
    Keys,
    /// The broker's own end.
    Shutdown,
}

/// What a peer's timer found.
enum Found {
    Lost,
    Speak,
    Later,
}

impl Broker {
    /// If the machine was not run when it asked to be (its process was stopped, the clock leapt), silence proves nothing
    /// until one more interval has passed.
    pub(super) fn detect_stall(&mut self, now: Time) {
        if self.poll_timeout().is_some_and(|due| now.since(due) > self.settings.heartbeat) {
            self.grace = now;
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Time, out: &mut Vec<Action>) {
        // The end may be among them: then the rest has nobody to speak to.
        while let Some((at, timer)) = self.first_timer().filter(|(at, _)| *at <= now && !self.stopped) {
            match timer {
                Timer::Call(call) => self.unwatch_call(call),
                _ => drop(self.timers.remove(&(at, timer))),
            }
            self.fire(now, timer, out);
        }
    }

    /// The timer that is due first, those of calls included.
    pub(super) fn first_timer(&self) -> Option<(Time, Timer)> {
        let call = self.deadlines.peek().map(|(deadline, call)| (deadline.at(), Timer::Call(call)));
        self.timers.first().copied().into_iter().chain(call).min()
    }

    fn fire(&mut self, now: Time, timer: Timer, out: &mut Vec<Action>) {
        match timer {
            Timer::Handshake(connection) => self.handshake_over(now, connection, out),
            Timer::Client(client) => self.look_at_client(now, client, out),
            Timer::Worker(worker) => self.look_at_worker(now, worker, out),
            Timer::ClientGone(client) => self.client_stays_away(now, client, out),
            Timer::Call(call) => self.time_is_up(now, call, out),
            Timer::Service(service) => self.forget_service(now, service),
            Timer::Rest(worker, offer) => self.rested(now, worker, offer, out),
            Timer::Keys => self.keys_begin(),
            Timer::Shutdown => self.stop(now, out),
        }
    }

    fn look_at_client(&mut self, now: Time, key: ClientKey, out: &mut Vec<Action>) {
        let (grace, heartbeat) = (self.grace, self.settings.heartbeat);
        let Some(presence) = self.clients.get_mut(&key).and_then(|client| client.presence.as_mut()) else { return };
        match look(now, presence, grace, heartbeat) {
            Found::Lost => return self.client_silent(now, key, out),
            Found::Speak => self.speak_to_client(now, key, Envelope::Ping(Ping { number: 0, done_below: None }), out),
            Found::Later => {}
        }
        self.watch_client(key);
    }

    /// A client has not come back in its time. If it was the machine that was not run, it had no chance to.
    fn client_stays_away(&mut self, now: Time, key: ClientKey, out: &mut Vec<Action>) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let until = self.grace + client.interval;
        if until <= now {
            return self.forget_client(now, key, out);
        }
        client.gone_at = until;
        self.timers.insert((until, Timer::ClientGone(key)));
    }

    fn look_at_worker(&mut self, now: Time, key: WorkerKey, out: &mut Vec<Action>) {
        let (grace, heartbeat) = (self.grace, self.settings.heartbeat);
        let Some(worker) = self.workers.get_mut(&key) else { return };
        match look(now, &worker.presence, grace, heartbeat) {
            Found::Lost => return self.worker_silent(now, key, out),
            Found::Speak => self.speak_to_worker(now, key, Envelope::Ping(Ping { number: 0, done_below: None }), out),
            Found::Later => {}
        }
        self.watch_worker(key);
    }

    /// Sets the timer for a client's next heartbeat, its or ours.
    pub(super) fn watch_client(&mut self, key: ClientKey) {
        let (grace, heartbeat) = (self.grace, self.settings.heartbeat);
        let Some(presence) = self.clients.get_mut(&key).and_then(|client| client.presence.as_mut()) else { return };
        presence.timer = presence.lost_at(grace).min(presence.speak_at(heartbeat));
        self.timers.insert((presence.timer, Timer::Client(key)));
    }

    /// Sets the timer for a worker's next heartbeat, its or ours.
    pub(super) fn watch_worker(&mut self, key: WorkerKey) {
        let (grace, heartbeat) = (self.grace, self.settings.heartbeat);
        let Some(worker) = self.workers.get_mut(&key) else { return };
        worker.presence.timer = worker.presence.lost_at(grace).min(worker.presence.speak_at(heartbeat));
        self.timers.insert((worker.presence.timer, Timer::Worker(key)));
    }

    /// Sets a call's one timer: its deadline, or the end of its patience where no worker is in sight.
    pub(super) fn watch_call(&mut self, key: CallKey) {
        let call = &mut self.calls[key.0];
        let give_up = match call.state {
            State::Waiting { give_up, .. } => give_up,
            _ => None,
        };
        // Nobody waits for one that is stopping, and the deadline of a part is its broadcast's: only its method's limits count.
        let deadline = call.deadline.filter(|_| call.client.is_some());
        let at = [deadline, give_up, call.limits.next()].into_iter().flatten().min();
        if at == call.timer.map(DeadlineKey::at) {
            return;
        }
        if let Some(old) = call.timer.take() {
            self.deadlines.remove(old);
        }
        call.timer = at.map(|at| self.deadlines.insert(at, key));
    }

    /// A call has no use for its timer any more.
    pub(super) fn unwatch_call(&mut self, key: CallKey) {
        if let Some(deadline) = self.calls[key.0].timer.take() {
            self.deadlines.remove(deadline);
        }
    }
}

fn look(now: Time, presence: &Presence, grace: Time, heartbeat: Duration) -> Found {
    if now >= presence.lost_at(grace) {
        Found::Lost
    } else if now >= presence.speak_at(heartbeat) {
        Found::Speak
    } else {
        Found::Later
    }
}
