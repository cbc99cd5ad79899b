//! The world: all processes and the network between them, driven step by step through virtual time.

use std::time::Duration;

use callboard_core::{broker::Endpoint, time::Time, wire::ids::ConnectionId};

use super::{
    broker::BrokerHost,
    client::ClientHost,
    knobs::millis,
    network::{End, Host, Parcel},
    rogue::Rogue,
    scene::Scene,
    worker::WorkerHost,
};

/// Steps of one run: more means that somebody is busy with nothing.
const STEPS_MAX: u64 = 300_000;
/// The longest that a dead process stays away.
const AWAY_MAX: Duration = millis(2_500);

/// A place for a process, which may die and be replaced.
#[derive(Debug)]
pub(crate) struct Seat<H> {
    pub(crate) host: Option<H>,
    lives: u64,
    pub(crate) back_at: Time,
}

impl<H> Seat<H> {
    fn empty() -> Seat<H> {
        Seat { host: None, lives: 0, back_at: Time::ZERO }
    }

    fn next_life(&mut self) -> u64 {
        self.lives += 1;
        self.lives
    }

    /// When somebody takes the seat, if it is empty.
    fn back(&self) -> Option<Time> {
        self.host.is_none().then_some(self.back_at)
    }
}

/// The whole.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) scene: Scene,
    pub(crate) broker: Seat<BrokerHost>,
    pub(crate) clients: Vec<Seat<ClientHost>>,
    pub(crate) workers: Vec<Seat<WorkerHost>>,
    pub(crate) rogue: Option<Rogue>,
    pub(crate) next_fault: Option<Time>,
    pub(crate) steps: u64,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Arrival,
    Broker,
    BrokerBack,
    Client(usize),
    ClientBack(usize),
    Callers(usize),
    Worker(usize),
    WorkerBack(usize),
    Rogue,
    Fault,
}

impl World {
    /// The world of that seed; `told` if its trace is to be read by people.
    pub(crate) fn new(seed: u64, told: bool) -> World {
        let scene = Scene::new(seed, told);
        let (clients, workers) = (scene.knobs.clients, scene.knobs.workers);
        World {
            broker: Seat::empty(),
            clients: (0..clients).map(|_| Seat::empty()).collect(),
            workers: (0..workers).map(|_| Seat::empty()).collect(),
            rogue: scene.knobs.rogue.then(|| Rogue::new(scene.now)),
            next_fault: (!scene.knobs.faults.is_empty()).then_some(scene.now + scene.knobs.fault_every),
            scene,
            steps: 0,
        }
    }

    /// Lets everything happen until that time.
    pub(crate) fn run_until(&mut self, end: Time) {
        while self.step(end) {}
    }

    /// Lets the next thing happen. False if nothing does before that time, which it is then.
    pub(crate) fn step(&mut self, end: Time) -> bool {
        let next = self.next().filter(|&(at, _)| at <= end);
        let Some((at, next)) = next else {
            self.scene.now = self.scene.now.max(end);
            return false;
        };
        self.steps += 1;
        assert!(self.steps < STEPS_MAX, "the world is busy with nothing, at last with {next:?}");
        self.scene.now = self.scene.now.max(at);
        self.happen(next);
        true
    }

    fn next(&self) -> Option<(Time, Next)> {
        let scene = &self.scene;
        let arrival = scene.network.due().map(|at| (at, Next::Arrival));
        let broker = self.broker.host.as_ref().and_then(BrokerHost::due).map(|at| (at, Next::Broker));
        let broker_back = self.broker.back().map(|at| (at, Next::BrokerBack));
        let rogue = self.rogue.as_ref().and_then(|rogue| rogue.due(scene)).map(|at| (at, Next::Rogue));
        let fault = self.next_fault.map(|at| (at, Next::Fault));
        let clients = self.clients.iter().enumerate().flat_map(|(seat, client)| {
            let host = client.host.as_ref();
            let turn = host.and_then(ClientHost::due).map(|at| (at, Next::Client(seat)));
            let callers = host.and_then(|host| host.callers_due(scene)).map(|at| (at, Next::Callers(seat)));
            [turn, callers, client.back().map(|at| (at, Next::ClientBack(seat)))]
        });
        let workers = self.workers.iter().enumerate().flat_map(|(seat, worker)| {
            let turn = worker.host.as_ref().and_then(WorkerHost::due).map(|at| (at, Next::Worker(seat)));
            [turn, worker.back().map(|at| (at, Next::WorkerBack(seat)))]
        });
        let single = [arrival, broker, broker_back, rogue, fault];
        single.into_iter().chain(clients).chain(workers).flatten().min()
    }

    fn happen(&mut self, next: Next) {
        let scene = &mut self.scene;
        match next {
            Next::Arrival => self.arrival(),
            Next::Broker => self.broker_turn(),
            Next::BrokerBack => {
                self.broker.next_life();
                self.broker.host = Some(BrokerHost::new(scene));
                scene.note(Host::Broker, || "starts".to_owned());
            }
            Next::Client(seat) => self.client_turn(seat),
            Next::ClientBack(seat) => {
                let life = self.clients[seat].next_life();
                self.clients[seat].host = Some(ClientHost::new(seat, life, scene));
            }
            Next::Callers(seat) => {
                let host = self.clients[seat].host.as_mut();
                host.expect("it has callers").callers_act(scene);
            }
            Next::Worker(seat) => self.worker_turn(seat),
            Next::WorkerBack(seat) => {
                let life = self.workers[seat].next_life();
                self.workers[seat].host = Some(WorkerHost::new(seat, life, scene));
            }
            Next::Rogue => self.rogue.as_mut().expect("it was due").act(scene),
            Next::Fault => self.fault(),
        }
    }

    fn arrival(&mut self) {
        let scene = &mut self.scene;
        let Some((connection, peer, endpoint, end, parcel)) = scene.network.arrival(scene.now) else { return };
        if let Parcel::Message(frames) = &parcel {
            scene.trace.hash(&scene.now.as_micros().to_le_bytes());
            scene.trace.hash(&connection.0.to_le_bytes());
            frames.iter().for_each(|frame| scene.trace.hash(frame));
        }
        match (end, peer) {
            (End::Broker, _) => self.broker_arrival(connection, peer, endpoint, parcel),
            (End::Peer, Host::Client(seat)) => {
                let Some(client) = &mut self.clients[seat].host else { return };
                if client.socket.arrived(connection, parcel, scene) {
                    let at = scene.handled();
                    client.process.rouse(at);
                }
            }
            (End::Peer, Host::Worker(seat)) => {
                let Some(worker) = &mut self.workers[seat].host else { return };
                if worker.socket.arrived(connection, parcel, scene) {
                    let at = scene.handled();
                    worker.process.rouse(at);
                }
            }
            (End::Peer, Host::Rogue) => {
                if let Some(rogue) = &mut self.rogue {
                    rogue.arrived(connection, &parcel, scene);
                }
            }
            (End::Peer, Host::Broker) => unreachable!("the broker connects to nobody"),
        }
    }

    /// Something arrives at the broker's end: at the broker, if it is there and the connection comes about.
    fn broker_arrival(&mut self, connection: ConnectionId, peer: Host, endpoint: Endpoint, parcel: Parcel) {
        let scene = &mut self.scene;
        if matches!(parcel, Parcel::Opened) {
            if scene.chance.percent(scene.knobs.void_percent) {
                return scene.network.cut(connection, None, None);
            }
            if self.broker.host.is_none() || scene.chance.percent(scene.knobs.refuse_percent) {
                let at = scene.arrival();
                return scene.network.close(connection, End::Broker, Some(at), 0);
            }
        }
        if let Some(broker) = &mut self.broker.host {
            broker.arrived(connection, peer, endpoint, parcel, scene);
        }
    }

    fn broker_turn(&mut self) {
        let Some(broker) = &mut self.broker.host else { return };
        broker.turn(&mut self.scene);
        if broker.stopped {
            self.broker_gone(true);
        }
    }

    fn client_turn(&mut self, seat: usize) {
        let Some(client) = &mut self.clients[seat].host else { return };
        client.turn(&mut self.scene);
        if client.closed {
            let waits = self.scene.ledger.unresolved.get(&client.key).is_some_and(|calls| !calls.is_empty());
            assert!(!waits, "a closed client gives every token back");
            self.clients[seat].host = None;
            self.clients[seat].back_at = self.scene.now + self.scene.chance.span(AWAY_MAX);
        }
    }

    fn worker_turn(&mut self, seat: usize) {
        let Some(worker) = &mut self.workers[seat].host else { return };
        worker.turn(&mut self.scene);
        if worker.left {
            self.scene.keys.died(&worker.name);
            self.workers[seat].host = None;
            self.workers[seat].back_at = self.scene.now + self.scene.chance.span(AWAY_MAX);
        }
    }

    /// The broker is gone: in order, when it was told to end, or by death, of which some peers learn late or never.
    pub(crate) fn broker_gone(&mut self, in_order: bool) {
        let scene = &mut self.scene;
        scene.note(Host::Broker, || "is gone".to_owned());
        self.broker.host = None;
        self.broker.back_at = scene.now + scene.chance.span(AWAY_MAX);
        for (connection, _) in scene.network.connections() {
            let at = scene.arrival();
            let seen = (in_order || scene.chance.percent(80)).then_some(at);
            let lost = if in_order { 0 } else { scene.chance.place(8) };
            scene.network.close(connection, End::Broker, seen, lost);
        }
    }

    /// A peer's process dies; the broker learns of that soon, or never.
    pub(crate) fn peer_gone(&mut self, host: Host) {
        let scene = &mut self.scene;
        scene.note(host, || "dies".to_owned());
        let back_at = scene.now + scene.chance.span(AWAY_MAX);
        let connection = match host {
            Host::Client(seat) => {
                self.clients[seat].back_at = back_at;
                let client = self.clients[seat].host.take();
                client.and_then(|client| {
                    scene.ledger.orphan(client.key);
                    client.socket.connection()
                })
            }
            Host::Worker(seat) => {
                self.workers[seat].back_at = back_at;
                self.workers[seat].host.take().and_then(|worker| {
                    scene.keys.died(&worker.name);
                    worker.socket.connection()
                })
            }
            Host::Broker | Host::Rogue => None,
        };
        if let Some(connection) = connection {
            let at = scene.arrival();
            let seen = scene.chance.percent(75).then_some(at);
            let lost = scene.chance.place(8);
            scene.network.close(connection, End::Peer, seen, lost);
        }
    }
}
