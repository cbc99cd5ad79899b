//! The world: all processes and the network between them, driven step by step through virtual time.

use std::time::Duration;

use callboard_core::{broker::Endpoint, time::Time, wire::ids::ConnectionId};

use super::{
    broker::BrokerHost,
    client::ClientHost,
    config::millis,
    context::Context,
    network::{End, Host, Packet},
    rogue::Rogue,
    worker::WorkerHost,
};

/// The maximum steps of one run: more means that a process runs without progress.
const STEPS_MAX: u64 = 300_000;
/// The longest time until a crashed process restarts.
const DOWNTIME_MAX: Duration = millis(2_500);

/// A slot for a process, which may crash and be replaced.
#[derive(Debug)]
pub(crate) struct ProcessSlot<H> {
    pub(crate) host: Option<H>,
    incarnations: u64,
    pub(crate) restart_at: Time,
}

impl<H> ProcessSlot<H> {
    fn empty() -> ProcessSlot<H> {
        ProcessSlot { host: None, incarnations: 0, restart_at: Time::ZERO }
    }

    fn next_incarnation(&mut self) -> u64 {
        self.incarnations += 1;
        self.incarnations
    }

    /// When a process starts in the slot, if the slot is empty.
    fn restart(&self) -> Option<Time> {
        self.host.is_none().then_some(self.restart_at)
    }
}

/// The simulated world.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) context: Context,
    pub(crate) broker: ProcessSlot<BrokerHost>,
    pub(crate) clients: Vec<ProcessSlot<ClientHost>>,
    pub(crate) workers: Vec<ProcessSlot<WorkerHost>>,
    pub(crate) rogue: Option<Rogue>,
    pub(crate) next_fault: Option<Time>,
    pub(crate) steps: u64,
}

/// The next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum NextEvent {
    Arrival,
    Broker,
    BrokerRestart,
    Client(usize),
    ClientRestart(usize),
    Workload(usize),
    Worker(usize),
    WorkerRestart(usize),
    Rogue,
    Fault,
}

impl World {
    /// Creates the world of a seed; `verbose` keeps the text of its trace.
    pub(crate) fn new(seed: u64, verbose: bool) -> World {
        let context = Context::new(seed, verbose);
        let (clients, workers) = (context.config.clients, context.config.workers);
        World {
            broker: ProcessSlot::empty(),
            clients: (0..clients).map(|_| ProcessSlot::empty()).collect(),
            workers: (0..workers).map(|_| ProcessSlot::empty()).collect(),
            rogue: context.config.rogue.then(|| Rogue::new(context.now)),
            next_fault: (!context.config.faults.is_empty()).then_some(context.now + context.config.fault_every),
            context,
            steps: 0,
        }
    }

    /// Runs all events until that time.
    pub(crate) fn run_until(&mut self, end: Time) {
        while self.step(end) {}
    }

    /// Runs the next event. If there is none until `end`, advances the time to `end` and returns false.
    pub(crate) fn step(&mut self, end: Time) -> bool {
        let next = self.next().filter(|&(at, _)| at <= end);
        let Some((at, next)) = next else {
            self.context.now = self.context.now.max(end);
            return false;
        };
        self.steps += 1;
        assert!(self.steps < STEPS_MAX, "the world runs without progress; the last event is {next:?}");
        self.context.now = self.context.now.max(at);
        self.execute(next);
        true
    }

    fn next(&self) -> Option<(Time, NextEvent)> {
        let context = &self.context;
        let arrival = context.network.due().map(|at| (at, NextEvent::Arrival));
        let broker = self.broker.host.as_ref().and_then(BrokerHost::due).map(|at| (at, NextEvent::Broker));
        let broker_restart = self.broker.restart().map(|at| (at, NextEvent::BrokerRestart));
        let rogue = self.rogue.as_ref().and_then(|rogue| rogue.due(context)).map(|at| (at, NextEvent::Rogue));
        let fault = self.next_fault.map(|at| (at, NextEvent::Fault));
        let clients = self.clients.iter().enumerate().flat_map(|(index, client)| {
            let host = client.host.as_ref();
            let run = host.and_then(ClientHost::due).map(|at| (at, NextEvent::Client(index)));
            let workload = host.and_then(|host| host.workload_due(context)).map(|at| (at, NextEvent::Workload(index)));
            [run, workload, client.restart().map(|at| (at, NextEvent::ClientRestart(index)))]
        });
        let workers = self.workers.iter().enumerate().flat_map(|(index, worker)| {
            let run = worker.host.as_ref().and_then(WorkerHost::due).map(|at| (at, NextEvent::Worker(index)));
            [run, worker.restart().map(|at| (at, NextEvent::WorkerRestart(index)))]
        });
        let single = [arrival, broker, broker_restart, rogue, fault];
        single.into_iter().chain(clients).chain(workers).flatten().min()
    }

    fn execute(&mut self, next: NextEvent) {
        let context = &mut self.context;
        match next {
            NextEvent::Arrival => self.arrival(),
            NextEvent::Broker => self.run_broker(),
            NextEvent::BrokerRestart => {
                self.broker.next_incarnation();
                self.broker.host = Some(BrokerHost::new(context));
                context.note(Host::Broker, || "starts".to_owned());
            }
            NextEvent::Client(index) => self.run_client(index),
            NextEvent::ClientRestart(index) => {
                let incarnation = self.clients[index].next_incarnation();
                self.clients[index].host = Some(ClientHost::new(index, incarnation, context));
            }
            NextEvent::Workload(index) => {
                let host = self.clients[index].host.as_mut();
                host.expect("the client is running").run_workload(context);
            }
            NextEvent::Worker(index) => self.run_worker(index),
            NextEvent::WorkerRestart(index) => {
                let incarnation = self.workers[index].next_incarnation();
                self.workers[index].host = Some(WorkerHost::new(index, incarnation, context));
            }
            NextEvent::Rogue => self.rogue.as_mut().expect("the rogue was due").act(context),
            NextEvent::Fault => self.fault(),
        }
    }

    fn arrival(&mut self) {
        let context = &mut self.context;
        let Some((connection, peer, endpoint, end, packet)) = context.network.arrival(context.now) else { return };
        if let Packet::Message(frames) = &packet {
            context.trace.hash(&context.now.as_micros().to_le_bytes());
            context.trace.hash(&connection.0.to_le_bytes());
            frames.iter().for_each(|frame| context.trace.hash(frame));
        }
        match (end, peer) {
            (End::Broker, _) => self.broker_arrival(connection, peer, endpoint, packet),
            (End::Peer, Host::Client(index)) => {
                let Some(client) = &mut self.clients[index].host else { return };
                if client.socket.arrived(connection, packet, context) {
                    let at = context.handled();
                    client.process.wake(at);
                }
            }
            (End::Peer, Host::Worker(index)) => {
                let Some(worker) = &mut self.workers[index].host else { return };
                if worker.socket.arrived(connection, packet, context) {
                    let at = context.handled();
                    worker.process.wake(at);
                }
            }
            (End::Peer, Host::Rogue) => {
                if let Some(rogue) = &mut self.rogue {
                    rogue.arrived(connection, &packet, context);
                }
            }
            (End::Peer, Host::Broker) => unreachable!("the broker opens no connections"),
        }
    }

    /// Delivers a packet to the broker, unless the broker is down or the connection attempt fails.
    fn broker_arrival(&mut self, connection: ConnectionId, peer: Host, endpoint: Endpoint, packet: Packet) {
        let context = &mut self.context;
        if matches!(packet, Packet::Opened) {
            if context.rng.percent(context.config.blackhole_percent) {
                return context.network.cut(connection, None, None);
            }
            if self.broker.host.is_none() || context.rng.percent(context.config.refuse_percent) {
                let at = context.arrival();
                return context.network.close(connection, End::Broker, Some(at), 0);
            }
        }
        if let Some(broker) = &mut self.broker.host {
            broker.arrived(connection, peer, endpoint, packet, context);
        }
    }

    fn run_broker(&mut self) {
        let Some(broker) = &mut self.broker.host else { return };
        broker.run_once(&mut self.context);
        if broker.stopped {
            self.stop_broker(true);
        }
    }

    fn run_client(&mut self, index: usize) {
        let Some(client) = &mut self.clients[index].host else { return };
        client.run_once(&mut self.context);
        if client.closed {
            let has_open_calls = self.context.ledger.unresolved.get(&client.key).is_some_and(|calls| !calls.is_empty());
            assert!(!has_open_calls, "a closed client has returned every token");
            self.clients[index].host = None;
            self.clients[index].restart_at = self.context.now + self.context.rng.span(DOWNTIME_MAX);
        }
    }

    fn run_worker(&mut self, index: usize) {
        let Some(worker) = &mut self.workers[index].host else { return };
        worker.run_once(&mut self.context);
        if worker.left {
            self.context.keys.worker_died(&worker.name);
            self.workers[index].host = None;
            self.workers[index].restart_at = self.context.now + self.context.rng.span(DOWNTIME_MAX);
        }
    }

    /// Stops the broker: in an orderly way after a shutdown, or by a crash, which some peers detect late or never.
    pub(crate) fn stop_broker(&mut self, orderly: bool) {
        let context = &mut self.context;
        context.note(Host::Broker, || "stops".to_owned());
        self.broker.host = None;
        self.broker.restart_at = context.now + context.rng.span(DOWNTIME_MAX);
        for (connection, _) in context.network.connections() {
            let at = context.arrival();
            let seen = (orderly || context.rng.percent(80)).then_some(at);
            let lost = if orderly { 0 } else { context.rng.index(8) };
            context.network.close(connection, End::Broker, seen, lost);
        }
    }

    /// Crashes the process of a peer. The broker detects it soon, or never.
    pub(crate) fn crash_peer(&mut self, host: Host) {
        let context = &mut self.context;
        context.note(host, || "crashes".to_owned());
        let restart_at = context.now + context.rng.span(DOWNTIME_MAX);
        let connection = match host {
            Host::Client(index) => {
                self.clients[index].restart_at = restart_at;
                let client = self.clients[index].host.take();
                client.and_then(|client| {
                    context.ledger.orphan(client.key);
                    client.socket.connection()
                })
            }
            Host::Worker(index) => {
                self.workers[index].restart_at = restart_at;
                self.workers[index].host.take().and_then(|worker| {
                    context.keys.worker_died(&worker.name);
                    worker.socket.connection()
                })
            }
            Host::Broker | Host::Rogue => None,
        };
        if let Some(connection) = connection {
            let at = context.arrival();
            let seen = context.rng.percent(75).then_some(at);
            let lost = context.rng.index(8);
            context.network.close(connection, End::Peer, seen, lost);
        }
    }
}
