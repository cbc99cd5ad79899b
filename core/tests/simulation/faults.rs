//! What goes wrong.

use std::time::Duration;

use callboard_core::{time::Time, wire::ids::ConnectionId};

use super::{
    knobs::{Fault, millis},
    network::{End, Host, later},
    process::Process,
    world::World,
};

/// The longest that a connection stalls or a process is not run: past the time after which a peer counts as lost.
const OUTAGE_MAX: Duration = millis(6_500);
/// How long a worker or a broker that is told to end lets finish what runs, at most.
const PATIENCE_MAX: Duration = millis(2_000);

impl World {
    /// The next fault happens.
    pub(crate) fn fault(&mut self) {
        let pause = self.scene.chance.span(self.scene.knobs.fault_every * 2);
        self.next_fault = Some(self.scene.now + pause);
        let fault = self.scene.chance.place(self.scene.knobs.faults.len());
        match self.scene.knobs.faults[fault] {
            Fault::Break => self.break_connection(false),
            Fault::HalfOpen => self.break_connection(true),
            Fault::Stall => self.stall(),
            Fault::Partition => self.partition(),
            Fault::Stop => self.stop(),
            Fault::Leap => self.leap(),
            Fault::WorkerCrash => self.worker_fault(true),
            Fault::WorkerDrain => self.worker_fault(false),
            Fault::ClientCrash => self.client_fault(true),
            Fault::ClientClose => self.client_fault(false),
            Fault::BrokerCrash => {
                if self.broker.host.is_some() {
                    self.broker_gone(false);
                }
            }
            Fault::BrokerShutdown => self.shut_down(),
        }
    }

    fn any_connection(&mut self) -> Option<ConnectionId> {
        let connections = self.scene.network.connections();
        (!connections.is_empty()).then(|| self.scene.chance.pick(&connections).0)
    }

    fn outage(&mut self) -> Time {
        self.scene.now + self.scene.chance.span(OUTAGE_MAX)
    }

    fn break_connection(&mut self, half_open: bool) {
        let Some(connection) = self.any_connection() else { return };
        let chance = &mut self.scene.chance;
        let mut seen = |late: bool| match late {
            true => chance.percent(50).then(|| chance.span(OUTAGE_MAX)),
            false => Some(chance.span(millis(50))),
        };
        let (peer, broker) = (seen(half_open), seen(false));
        let swapped = half_open && chance.percent(50);
        let (peer, broker) = if swapped { (broker, peer) } else { (peer, broker) };
        let now = self.scene.now;
        self.scene.note(Host::Rogue, || format!("breaks connection {connection}: peer {peer:?}, broker {broker:?}"));
        self.scene.network.cut(connection, later(now, peer), later(now, broker));
    }

    fn stall(&mut self) {
        let Some(connection) = self.any_connection() else { return };
        let until = self.outage();
        let ends = self.scene.chance.pick(&[[true, false], [false, true], [true, true]]);
        self.scene.note(Host::Rogue, || format!("stalls connection {connection} until {until}: {ends:?}"));
        for (end, stalls) in [End::Peer, End::Broker].into_iter().zip(ends) {
            if stalls {
                self.scene.network.stall(connection, end, until);
            }
        }
    }

    fn partition(&mut self) {
        let (host, until) = (self.any_peer(), self.outage());
        self.scene.note(host, || format!("is cut off until {until}"));
        self.scene.network.partition(host, until);
    }

    fn any_peer(&mut self) -> Host {
        let (clients, workers) = (self.clients.len(), self.workers.len());
        match self.scene.chance.place(clients + workers) {
            at if at < clients => Host::Client(at),
            at => Host::Worker(at - clients),
        }
    }

    /// The process of any peer or of the broker, if it is there.
    fn any_process(&mut self) -> Option<(Host, &mut Process)> {
        let host = if self.scene.chance.percent(25) { Host::Broker } else { self.any_peer() };
        let process = match host {
            Host::Broker | Host::Rogue => self.broker.host.as_mut().map(|broker| &mut broker.process),
            Host::Client(seat) => self.clients[seat].host.as_mut().map(|client| &mut client.process),
            Host::Worker(seat) => self.workers[seat].host.as_mut().map(|worker| &mut worker.process),
        };
        process.map(|process| (host, process))
    }

    fn stop(&mut self) {
        let until = self.outage();
        let Some((host, process)) = self.any_process() else { return };
        process.stop(until);
        self.scene.note(host, || format!("is not run until {until}"));
    }

    fn leap(&mut self) {
        let (now, span) = (self.scene.now, self.scene.chance.span(OUTAGE_MAX));
        let Some((host, process)) = self.any_process() else { return };
        process.leap(now, span);
        self.scene.note(host, || format!("sees its clock leap by {span:?}"));
    }

    fn worker_fault(&mut self, crash: bool) {
        let seat = self.scene.chance.place(self.workers.len());
        let Some(worker) = &mut self.workers[seat].host else { return };
        if crash {
            return self.peer_gone(Host::Worker(seat));
        }
        let patience = self.scene.chance.span(PATIENCE_MAX);
        self.scene.note(Host::Worker(seat), || format!("is told to end within {patience:?}"));
        worker.drain(patience, &mut self.scene);
    }

    fn client_fault(&mut self, crash: bool) {
        let seat = self.scene.chance.place(self.clients.len());
        let Some(client) = &mut self.clients[seat].host else { return };
        if crash {
            return self.peer_gone(Host::Client(seat));
        }
        self.scene.note(Host::Client(seat), || "is closed".to_owned());
        client.close(&mut self.scene);
    }

    fn shut_down(&mut self) {
        let patience = self.scene.chance.span(PATIENCE_MAX);
        let Some(broker) = &mut self.broker.host else { return };
        self.scene.note(Host::Broker, || format!("is told to end within {patience:?}"));
        broker.shut_down(patience, &mut self.scene);
    }
}
