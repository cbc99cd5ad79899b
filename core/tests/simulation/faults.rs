//! Fault injection.

use std::time::Duration;

use callboard_core::{time::Time, wire::ids::ConnectionId};

use super::{
    config::{Fault, millis},
    network::{End, Host, later},
    process::Process,
    world::World,
};

/// The longest stall of a connection or pause of a process: longer than the time after which a peer counts as lost.
const OUTAGE_MAX: Duration = millis(6_500);
/// The longest drain time of a worker or a broker that shuts down.
const DRAIN_TIME_MAX: Duration = millis(2_000);

impl World {
    /// Injects the next fault.
    pub(crate) fn fault(&mut self) {
        let pause = self.context.rng.span(self.context.config.fault_every * 2);
        self.next_fault = Some(self.context.now + pause);
        let fault = self.context.rng.index(self.context.config.faults.len());
        match self.context.config.faults[fault] {
            Fault::Break => self.break_connection(false),
            Fault::HalfOpen => self.break_connection(true),
            Fault::Stall => self.stall(),
            Fault::Partition => self.partition(),
            Fault::Pause => self.pause(),
            Fault::ClockJump => self.jump_clock(),
            Fault::WorkerCrash => self.worker_fault(true),
            Fault::WorkerDrain => self.worker_fault(false),
            Fault::ClientCrash => self.client_fault(true),
            Fault::ClientClose => self.client_fault(false),
            Fault::BrokerCrash => {
                if self.broker.host.is_some() {
                    self.stop_broker(false);
                }
            }
            Fault::BrokerShutdown => self.shut_down(),
        }
    }

    fn any_connection(&mut self) -> Option<ConnectionId> {
        let connections = self.context.network.connections();
        (!connections.is_empty()).then(|| self.context.rng.pick(&connections).0)
    }

    fn outage(&mut self) -> Time {
        self.context.now + self.context.rng.span(OUTAGE_MAX)
    }

    fn break_connection(&mut self, half_open: bool) {
        let Some(connection) = self.any_connection() else { return };
        let rng = &mut self.context.rng;
        let mut seen = |late: bool| match late {
            true => rng.percent(50).then(|| rng.span(OUTAGE_MAX)),
            false => Some(rng.span(millis(50))),
        };
        let (peer, broker) = (seen(half_open), seen(false));
        let swapped = half_open && rng.percent(50);
        let (peer, broker) = if swapped { (broker, peer) } else { (peer, broker) };
        let now = self.context.now;
        self.context.note(Host::Rogue, || format!("breaks connection {connection}: peer {peer:?}, broker {broker:?}"));
        self.context.network.cut(connection, later(now, peer), later(now, broker));
    }

    fn stall(&mut self) {
        let Some(connection) = self.any_connection() else { return };
        let until = self.outage();
        let ends = self.context.rng.pick(&[[true, false], [false, true], [true, true]]);
        self.context.note(Host::Rogue, || format!("stalls connection {connection} until {until}: {ends:?}"));
        for (end, stalls) in [End::Peer, End::Broker].into_iter().zip(ends) {
            if stalls {
                self.context.network.stall(connection, end, until);
            }
        }
    }

    fn partition(&mut self) {
        let (host, until) = (self.any_peer(), self.outage());
        self.context.note(host, || format!("is partitioned until {until}"));
        self.context.network.partition(host, until);
    }

    fn any_peer(&mut self) -> Host {
        let (clients, workers) = (self.clients.len(), self.workers.len());
        match self.context.rng.index(clients + workers) {
            at if at < clients => Host::Client(at),
            at => Host::Worker(at - clients),
        }
    }

    /// Returns the process of a random peer or of the broker, if it is running.
    fn any_process(&mut self) -> Option<(Host, &mut Process)> {
        let host = if self.context.rng.percent(25) { Host::Broker } else { self.any_peer() };
        let process = match host {
            Host::Broker | Host::Rogue => self.broker.host.as_mut().map(|broker| &mut broker.process),
            Host::Client(index) => self.clients[index].host.as_mut().map(|client| &mut client.process),
            Host::Worker(index) => self.workers[index].host.as_mut().map(|worker| &mut worker.process),
        };
        process.map(|process| (host, process))
    }

    fn pause(&mut self) {
        let until = self.outage();
        let Some((host, process)) = self.any_process() else { return };
        process.pause(until);
        self.context.note(host, || format!("is paused until {until}"));
    }

    fn jump_clock(&mut self) {
        let (now, span) = (self.context.now, self.context.rng.span(OUTAGE_MAX));
        let Some((host, process)) = self.any_process() else { return };
        process.jump_clock(now, span);
        self.context.note(host, || format!("has its clock moved by {span:?}"));
    }

    fn worker_fault(&mut self, crash: bool) {
        let index = self.context.rng.index(self.workers.len());
        let Some(worker) = &mut self.workers[index].host else { return };
        if crash {
            return self.crash_peer(Host::Worker(index));
        }
        let drain_time = self.context.rng.span(DRAIN_TIME_MAX);
        self.context.note(Host::Worker(index), || format!("is shut down within {drain_time:?}"));
        worker.drain(drain_time, &mut self.context);
    }

    fn client_fault(&mut self, crash: bool) {
        let index = self.context.rng.index(self.clients.len());
        let Some(client) = &mut self.clients[index].host else { return };
        if crash {
            return self.crash_peer(Host::Client(index));
        }
        self.context.note(Host::Client(index), || "is closed".to_owned());
        client.close(&mut self.context);
    }

    fn shut_down(&mut self) {
        let drain_time = self.context.rng.span(DRAIN_TIME_MAX);
        let Some(broker) = &mut self.broker.host else { return };
        self.context.note(Host::Broker, || format!("is shut down within {drain_time:?}"));
        broker.shut_down(drain_time, &mut self.context);
    }
}
