//! What a seed decides about its world: how many hosts, how slow the network, which faults are on.

use std::time::Duration;

use callboard_core::auth::AuthKey;

use super::chance::Chance;

/// So few bytes of outcomes that a broker may forget one before its client has it.
pub(crate) const FORGETFUL_BYTES: usize = 2_000;

/// Something that goes wrong from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// A connection breaks and loses what is in flight; both sides learn it soon.
    Break,
    /// A connection breaks; one endpoint or both learn it late, or never.
    HalfOpen,
    /// A connection delivers nothing for a while, in one direction or both; then it flows again, or breaks.
    Stall,
    /// A peer and the broker do not reach each other for a while: their connection stalls, new ones are not made.
    Partition,
    /// A process is not run for a while.
    Stop,
    /// A process's clock leaps forward.
    Leap,
    /// A worker dies, and another takes its place.
    WorkerCrash,
    /// A worker drains and leaves, and another takes its place.
    WorkerDrain,
    /// A client dies, and another takes its place.
    ClientCrash,
    /// A client closes, and another takes its place.
    ClientClose,
    /// The broker dies and starts again.
    BrokerCrash,
    /// The broker is told to end, and starts again.
    BrokerShutdown,
}

impl Fault {
    const ALL: [Fault; 12] = [
        Fault::Break,
        Fault::HalfOpen,
        Fault::Stall,
        Fault::Partition,
        Fault::Stop,
        Fault::Leap,
        Fault::WorkerCrash,
        Fault::WorkerDrain,
        Fault::ClientCrash,
        Fault::ClientClose,
        Fault::BrokerCrash,
        Fault::BrokerShutdown,
    ];
}

/// Every knob of one world.
#[derive(Clone, Debug)]
pub(crate) struct Knobs {
    pub(crate) clients: usize,
    pub(crate) workers: usize,
    /// Whether a peer that breaks the protocol takes part.
    pub(crate) rogue: bool,
    /// Whether everybody, the rogue's liars now and then, has to prove that it knows the key.
    pub(crate) keyed: bool,
    pub(crate) heartbeat_broker: Duration,
    pub(crate) heartbeat_peer: Duration,
    /// The longest that a message travels.
    pub(crate) delay: Duration,
    /// The longest that a process lets its input wait.
    pub(crate) lag: Duration,
    /// Inputs that a process handles in one turn.
    pub(crate) turn_inputs: usize,
    pub(crate) credit_calls: u32,
    pub(crate) credit_bytes: u64,
    pub(crate) queue_calls: usize,
    /// Calls that may wait in all queues together.
    pub(crate) waiting_calls: usize,
    /// How long a party's calls may wait before no more of them are taken.
    pub(crate) queue_age: Option<Duration>,
    /// Bytes of outcomes that the broker remembers for all clients together.
    pub(crate) outcomes_bytes: usize,
    /// Bytes that a worker may have been sent and not read yet.
    pub(crate) worker_bytes: usize,
    /// Whether all peers are counted as one party where they have no keys.
    pub(crate) one_origin: bool,
    /// The retry budget: a share of a service's calls, a floor a second, and a burst.
    pub(crate) retries: [u32; 3],
    pub(crate) service_return: Duration,
    pub(crate) quiet_time: Duration,
    pub(crate) slots_max: u64,
    pub(crate) prefetch_max: u64,
    /// How long faults happen and calls are made, before the world heals.
    pub(crate) chaos: Duration,
    /// The mean time between two calls of a client.
    pub(crate) call_every: Duration,
    /// Calls made at once, at most.
    pub(crate) burst: u64,
    /// Calls in a hundred that are given up by their caller.
    pub(crate) cancel_percent: u64,
    /// Calls in a hundred that have no time-out.
    pub(crate) timeless_percent: u64,
    pub(crate) timeout_max: Duration,
    /// Calls in a hundred with a handler that takes its time.
    pub(crate) slow_percent: u64,
    /// Calls in a hundred with streams.
    pub(crate) stream_percent: u64,
    /// Calls in a hundred with an affinity key.
    pub(crate) key_percent: u64,
    /// Of the other calls, in a hundred, those that go to every worker.
    pub(crate) broadcast_percent: u64,
    /// The mean time between two faults.
    pub(crate) fault_every: Duration,
    pub(crate) faults: Vec<Fault>,
    /// How many calls of a `read` method may run at once, over all workers.
    pub(crate) concurrency: Option<u32>,
    /// How long a call of a limited method may run.
    pub(crate) hard_ms: Option<u64>,
    /// Connects in a hundred that are refused.
    pub(crate) refuse_percent: u64,
    /// Connects in a hundred that lead nowhere.
    pub(crate) void_percent: u64,
    /// Messages in a hundred that arrive twice, of those that may.
    pub(crate) duplicate_percent: u64,
    /// Calls in a hundred that a worker's program lets wait before their handler begins.
    pub(crate) dawdle_percent: u64,
    /// Dispatches in a hundred that a worker gives back for no reason.
    pub(crate) shun_percent: u64,
    /// Ends of connections in a hundred that take with them what the other endpoint had not read.
    pub(crate) reset_percent: u64,
}

impl Knobs {
    /// A swarm (Groce and others, 2012): each seed has some of the faults, so that none hides another for ever.
    pub(crate) fn draw(chance: &mut Chance) -> Knobs {
        let calm = chance.percent(8);
        let density = chance.pick(&[15, 30, 60, 100]);
        let mut on = |percent: u64| if calm || !chance.percent(density) { 0 } else { chance.below(percent + 1) };
        let (refuse, void, duplicate, reset) = (on(30), on(15), on(20), on(50));
        let (dawdle, shun) = (on(60), on(100));
        let rogue = !calm && chance.percent(25);
        let faults = Fault::ALL.into_iter().filter(|_| !calm && chance.percent(density)).collect();
        let narrow = chance.percent(50);
        let keyed = chance.percent(30);
        Knobs {
            clients: 1 + chance.place(3),
            workers: 1 + chance.place(4),
            rogue,
            keyed,
            heartbeat_broker: millis(chance.pick(&[200, 500, 1000])),
            heartbeat_peer: millis(chance.pick(&[200, 500, 1000])),
            delay: Duration::from_micros(chance.pick(&[0, 200, 2_000, 20_000, 150_000])),
            lag: Duration::from_micros(chance.pick(&[0, 0, 100, 2_000])),
            turn_inputs: chance.pick(&[1, 3, 256]),
            // A message that arrives twice costs its credit twice, so there must be plenty.
            credit_calls: if narrow && duplicate == 0 { chance.pick(&[2, 3, 5, 16]) } else { 4_096 },
            credit_bytes: if duplicate == 0 { chance.pick(&[100_000, 1 << 26]) } else { 1 << 26 },
            queue_calls: chance.pick(&[1, 10, 10_000, 10_000, 10_000]),
            waiting_calls: chance.pick(&[8, 100_000, 100_000, 100_000]),
            queue_age: chance.pick(&[None, None, None, Some(millis(50))]),
            outcomes_bytes: chance.pick(&[FORGETFUL_BYTES, 1 << 28, 1 << 28, 1 << 28]),
            concurrency: chance.pick(&[None, None, Some(1), Some(3)]),
            worker_bytes: chance.pick(&[1, 40, 1_000, 1 << 24]),
            one_origin: chance.percent(50),
            retries: chance.pick(&[[10, 10, 1_000], [10, 10, 1_000], [10, 1, 5], [50, 0, 0]]),
            service_return: millis(chance.pick(&[200, 2_000, 10_000])),
            quiet_time: millis(chance.pick(&[1_000, 2_000])),
            slots_max: chance.pick(&[1, 2, 6, 6]),
            prefetch_max: chance.pick(&[0, 0, 1, 3]),
            chaos: Duration::from_secs(4 + chance.below(20)),
            call_every: millis(chance.pick(&[30, 100, 250])),
            burst: chance.pick(&[1, 1, 1, 4, 12]),
            cancel_percent: chance.pick(&[0, 5, 30]),
            timeless_percent: chance.pick(&[0, 10, 50]),
            timeout_max: millis(chance.pick(&[300, 3_000, 3_000, 8_000])),
            slow_percent: chance.pick(&[0, 10, 40]),
            stream_percent: chance.pick(&[0, 20, 60]),
            key_percent: chance.pick(&[0, 20, 80]),
            hard_ms: chance.pick(&[None, None, Some(200), Some(1_000)]),
            broadcast_percent: chance.pick(&[0, 5, 30]),
            fault_every: millis(chance.pick(&[150, 600, 2_500])),
            faults,
            refuse_percent: refuse,
            void_percent: void,
            duplicate_percent: duplicate,
            dawdle_percent: dawdle,
            shun_percent: shun,
            reset_percent: reset,
        }
    }

    /// The key of this world, if it has one.
    pub(crate) fn key(&self) -> Option<AuthKey> {
        self.keyed.then(|| AuthKey::new("the key of the simulation").expect("it is long enough"))
    }

    /// Whether nothing goes wrong in this world.
    pub(crate) fn is_calm(&self) -> bool {
        self.faults.is_empty() && !self.rogue && self.refuse_percent + self.void_percent + self.duplicate_percent == 0
    }

    /// Whether each request arrives once, so that credit can be counted from outside.
    pub(crate) fn counts_credit(&self) -> bool {
        self.duplicate_percent == 0
    }

    /// Whether clocks run alike and processes run when they should.
    pub(crate) fn keeps_time(&self) -> bool {
        !self.faults.contains(&Fault::Leap) && !self.faults.contains(&Fault::Stop)
    }

    /// Whether no message takes longer than its delay.
    pub(crate) fn keeps_moving(&self) -> bool {
        !self.faults.contains(&Fault::Stall) && !self.faults.contains(&Fault::Partition)
    }

    /// From now on nothing goes wrong any more, and the network is quick: what waits is worked off within the time for it.
    pub(crate) fn heal(&mut self) {
        self.delay = self.delay.min(millis(5));
        (self.refuse_percent, self.void_percent, self.duplicate_percent, self.reset_percent) = (0, 0, 0, 0);
        (self.dawdle_percent, self.shun_percent) = (0, 0);
    }
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
