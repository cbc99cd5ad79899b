//! Recovery after the last fault: every call ends, every table becomes empty, every method answers, and no process stays busy.

use std::time::Duration;

use callboard_core::time::Time;

use super::{catalogue, client::ClientHost, config::millis, worker::WorkerHost, workload::AMPLE_TIMEOUT, world::World};

/// The longest time until a world is quiescent: the longest handler, the longest timeout, and the time to reconnect.
const QUIESCENCE_MAX: Duration = Duration::from_secs(60);
/// How long idle processes are observed.
const IDLE: Duration = Duration::from_secs(4);
/// The runs of an idle process for each heartbeat of the faster side and each connection: a ping, a pong, and timers on both sides.
const IDLE_RUNS_MAX: u64 = 8;

impl World {
    /// Runs the world: first with faults and calls, then the recovery.
    pub(crate) fn run(&mut self) {
        let end = self.context.now + self.context.config.chaos;
        self.run_until(end);
        self.heal();
        self.wait_until_quiescent();
        self.check_every_method();
        self.wait_until_quiescent();
        self.check_idle();
    }

    /// Ends all faults and the workload.
    fn heal(&mut self) {
        let now = self.context.now;
        self.context.healing = true;
        self.next_fault = None;
        self.context.config.heal();
        self.context.network.heal();
        if let Some(rogue) = &mut self.rogue {
            rogue.disconnect_all(&mut self.context);
        }
        let broker = self.broker.host.iter_mut().map(|broker| &mut broker.process);
        let clients = self.clients.iter_mut().filter_map(|slot| slot.host.as_mut()).map(|client| &mut client.process);
        let workers = self.workers.iter_mut().filter_map(|slot| slot.host.as_mut()).map(|worker| &mut worker.process);
        broker.chain(clients).chain(workers).for_each(|process| process.resume(now));
        self.context.trace.note(now, "world", || "heals".to_owned());
    }

    /// Runs until no work is pending, in bounded time.
    fn wait_until_quiescent(&mut self) {
        let end = self.context.now + QUIESCENCE_MAX;
        while let Some(pending_work) = self.pending_work() {
            let now = self.context.now;
            assert!(now < end, "the world is not quiescent within {QUIESCENCE_MAX:?}: {pending_work}");
            self.run_until(now + millis(100));
        }
    }

    /// Describes work that is still pending.
    fn pending_work(&self) -> Option<String> {
        if let Some(number) = self.context.ledger.unresolved.values().flatten().next() {
            return Some(self.context.ledger.describe(*number));
        }
        let Some(broker) = &self.broker.host else { return Some("the broker is down".to_owned()) };
        for (at, slot) in self.clients.iter().enumerate() {
            if !slot.host.as_ref().is_some_and(|client| client.machine.is_connected() && !client.closing) {
                return Some(format!("client-{at} is not connected, or is closing"));
            }
        }
        for (at, slot) in self.workers.iter().enumerate() {
            let Some(worker) = slot.host.as_ref().filter(|worker| worker.machine.is_connected()) else {
                return Some(format!("worker-{at} is not connected"));
            };
            if worker.handlers_len() > 0 {
                return Some(format!("worker-{at} runs {} handlers", worker.handlers_len()));
            }
        }
        let offers =
            self.workers.iter().filter_map(|slot| slot.host.as_ref()).map(WorkerHost::offers_len).sum::<usize>();
        let registered: usize =
            broker.machine.service_statuses(self.context.now).iter().map(|service| service.workers).sum();
        if offers != registered {
            return Some(format!("{registered} of {offers} offers are registered"));
        }
        let status = broker.status(self.context.now);
        let is_quiescent =
            (status.open, status.clients, status.workers.len()) == (0, self.clients.len(), self.workers.len());
        (!is_quiescent).then(|| format!("the broker has {status:?}"))
    }

    /// Each client calls each served method, with a key and without one, and must receive a result.
    fn check_every_method(&mut self) {
        for index in 0..self.clients.len() {
            for (method, key) in catalogue::served().flat_map(|method| [(method, None), (method, Some("a"))]) {
                let client = self.clients[index].host.as_mut().expect("the world is quiescent");
                let number = client.make_quick_call(method, key, &mut self.context);
                let end = self.context.now + AMPLE_TIMEOUT;
                while !self.context.ledger.is_answered(number) {
                    let advanced = self.step(end);
                    assert!(advanced, "a call fails after the last fault: {}", self.context.ledger.describe(number));
                }
            }
        }
    }

    /// Checks that idle processes are not busy.
    fn check_idle(&mut self) {
        self.clients.iter_mut().filter_map(|slot| slot.host.as_mut()).for_each(ClientHost::forget_cancels);
        let before = self.runs();
        let end: Time = self.context.now + IDLE;
        self.run_until(end);
        let fastest = self.context.config.heartbeat_broker.min(self.context.config.heartbeat_peer);
        let heartbeats = u64::try_from(IDLE.as_millis() / fastest.as_millis() + 1).expect("the number is small");
        let peers = (self.clients.len() + self.workers.len()) as u64;
        for (before, after) in before.into_iter().zip(self.runs()) {
            let allowed = heartbeats * IDLE_RUNS_MAX * if before.0 == "broker" { peers } else { 1 };
            let runs = after.1 - before.1;
            assert!(runs <= allowed, "{} runs {runs} times in {IDLE:?} while idle", before.0);
        }
        let cached_replies = self.broker.host.as_ref().map(|broker| broker.machine.cached_replies());
        assert_eq!(
            cached_replies,
            Some(0),
            "the reply cache must be empty once the clients have acknowledged all replies"
        );
        let stream_bytes = self.broker.host.as_ref().map(|broker| broker.machine.stream_bytes());
        assert_eq!(stream_bytes, Some(0), "ended streams must use no bytes");
    }

    /// Returns how often each process has run.
    fn runs(&self) -> Vec<(&'static str, u64)> {
        let broker = self.broker.host.iter().map(|broker| ("broker", broker.process.runs));
        let clients = self.clients.iter().filter_map(|slot| slot.host.as_ref());
        let workers = self.workers.iter().filter_map(|slot| slot.host.as_ref());
        let clients = clients.map(|client| ("client", client.process.runs));
        let workers = workers.map(|worker| ("worker", worker.process.runs));
        broker.chain(clients).chain(workers).collect()
    }
}
