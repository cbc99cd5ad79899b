//! What must happen once nothing goes wrong any more: every call ends, every table empties, everything works, and then nobody is
//! busy.

use std::time::Duration;

use callboard_core::time::Time;

use super::{callers::PLENTY, catalogue, client::ClientHost, knobs::millis, worker::WorkerHost, world::World};

/// How long a world takes to come to rest: the longest handler, the longest time-out and the time in which peers find each other.
const REST_MAX: Duration = Duration::from_secs(60);
/// How long idle processes are watched.
const IDLE: Duration = Duration::from_secs(4);
/// Turns of an idle process in a heartbeat of the faster endpoint, for each connection: a ping, a pong, and timers on both sides.
const IDLE_TURNS_MAX: u64 = 8;

impl World {
    /// A whole run: faults and calls, then healing.
    pub(crate) fn run(&mut self) {
        let end = self.scene.now + self.scene.knobs.chaos;
        self.run_until(end);
        self.heal();
        self.come_to_rest();
        self.serve_everybody();
        self.come_to_rest();
        self.idle();
    }

    /// Nothing goes wrong any more, and nobody makes calls of their own accord.
    fn heal(&mut self) {
        let now = self.scene.now;
        self.scene.healing = true;
        self.next_fault = None;
        self.scene.knobs.heal();
        self.scene.network.heal();
        if let Some(rogue) = &mut self.rogue {
            rogue.go(&mut self.scene);
        }
        let broker = self.broker.host.iter_mut().map(|broker| &mut broker.process);
        let clients = self.clients.iter_mut().filter_map(|seat| seat.host.as_mut()).map(|client| &mut client.process);
        let workers = self.workers.iter_mut().filter_map(|seat| seat.host.as_mut()).map(|worker| &mut worker.process);
        broker.chain(clients).chain(workers).for_each(|process| process.resume(now));
        self.scene.trace.note(now, "world", || "heals".to_owned());
    }

    /// Everything ends that was begun, in bounded time.
    fn come_to_rest(&mut self) {
        let end = self.scene.now + REST_MAX;
        while let Some(unrest) = self.unrest() {
            let now = self.scene.now;
            assert!(now < end, "the world does not come to rest within {REST_MAX:?}: {unrest}");
            self.run_until(now + millis(100));
        }
    }

    /// What is not at rest.
    fn unrest(&self) -> Option<String> {
        if let Some(number) = self.scene.ledger.unresolved.values().flatten().next() {
            return Some(self.scene.ledger.describe(*number));
        }
        let Some(broker) = &self.broker.host else { return Some("the broker is not there".to_owned()) };
        for (at, seat) in self.clients.iter().enumerate() {
            if !seat.host.as_ref().is_some_and(|client| client.machine.is_connected() && !client.closing) {
                return Some(format!("client-{at} has not joined, or is about to leave"));
            }
        }
        for (at, seat) in self.workers.iter().enumerate() {
            let Some(worker) = seat.host.as_ref().filter(|worker| worker.machine.is_connected()) else {
                return Some(format!("worker-{at} has not joined"));
            };
            if worker.handlers_len() > 0 {
                return Some(format!("worker-{at} runs {} handlers", worker.handlers_len()));
            }
        }
        let offers =
            self.workers.iter().filter_map(|seat| seat.host.as_ref()).map(WorkerHost::offers_len).sum::<usize>();
        let registered: usize =
            broker.machine.service_statuses(self.scene.now).iter().map(|service| service.workers).sum();
        if offers != registered {
            return Some(format!("{registered} of {offers} offers are registered"));
        }
        let status = broker.status(self.scene.now);
        let settled =
            (status.open, status.clients, status.workers.len()) == (0, self.clients.len(), self.workers.len());
        (!settled).then(|| format!("the broker has {status:?}"))
    }

    /// Each client gets an answer from each method that is served, with a key and without.
    fn serve_everybody(&mut self) {
        for seat in 0..self.clients.len() {
            for (method, key) in catalogue::served().flat_map(|method| [(method, None), (method, Some("a"))]) {
                let client = self.clients[seat].host.as_mut().expect("the world is at rest");
                let number = client.make_plain(method, key, &mut self.scene);
                let end = self.scene.now + PLENTY;
                while !self.scene.ledger.is_answered(number) {
                    let goes_on = self.step(end);
                    assert!(goes_on, "a healed world does not answer: {}", self.scene.ledger.describe(number));
                }
            }
        }
    }

    /// Who has nothing to do is not busy.
    fn idle(&mut self) {
        self.clients.iter_mut().filter_map(|seat| seat.host.as_mut()).for_each(ClientHost::forget_cancels);
        let before = self.turns();
        let end: Time = self.scene.now + IDLE;
        self.run_until(end);
        let fastest = self.scene.knobs.heartbeat_broker.min(self.scene.knobs.heartbeat_peer);
        let beats = u64::try_from(IDLE.as_millis() / fastest.as_millis() + 1).expect("it is a small number");
        let peers = (self.clients.len() + self.workers.len()) as u64;
        for (before, after) in before.into_iter().zip(self.turns()) {
            let most = beats * IDLE_TURNS_MAX * if before.0 == "broker" { peers } else { 1 };
            let turns = after.1 - before.1;
            assert!(turns <= most, "{} is run {turns} times in {IDLE:?} with nothing to do", before.0);
        }
        let remembered = self.broker.host.as_ref().map(|broker| broker.machine.cached_replies());
        assert_eq!(remembered, Some(0), "the broker forgets what its clients have acknowledged");
        let held = self.broker.host.as_ref().map(|broker| broker.machine.stream_bytes());
        assert_eq!(held, Some(0), "streams that have ended hold nothing");
    }

    /// How often each process was run.
    fn turns(&self) -> Vec<(&'static str, u64)> {
        let broker = self.broker.host.iter().map(|broker| ("broker", broker.process.turns));
        let clients = self.clients.iter().filter_map(|seat| seat.host.as_ref());
        let workers = self.workers.iter().filter_map(|seat| seat.host.as_ref());
        let clients = clients.map(|client| ("client", client.process.turns));
        let workers = workers.map(|worker| ("worker", worker.process.turns));
        broker.chain(clients).chain(workers).collect()
    }
}
