//! The parameters of a world, drawn from its seed: processes, network delays, workload and faults.

use std::time::Duration;

use super::rng::Rng;

/// A reply cache so small that the broker may evict a reply before its client has it.
pub(crate) const SMALL_REPLY_CACHE_BYTES: usize = 2_000;

/// A kind of fault that is injected from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// A connection breaks and loses what is in flight; both ends detect it soon.
    Break,
    /// A connection breaks; one end or both detect it late, or never.
    HalfOpen,
    /// A connection delivers nothing for a while, in one direction or both; then it delivers again, or breaks.
    Stall,
    /// A peer and the broker do not reach each other for a while: their connection stalls, and new ones do not open.
    Partition,
    /// A process is paused for a while.
    Pause,
    /// The clock of a process jumps forward.
    ClockJump,
    /// A worker crashes, and another one replaces it.
    WorkerCrash,
    /// A worker drains and disconnects, and another one replaces it.
    WorkerDrain,
    /// A client crashes, and another one replaces it.
    ClientCrash,
    /// A client closes, and another one replaces it.
    ClientClose,
    /// The broker crashes and restarts.
    BrokerCrash,
    /// The broker shuts down and restarts.
    BrokerShutdown,
}

impl Fault {
    const ALL: [Fault; 12] = [
        Fault::Break,
        Fault::HalfOpen,
        Fault::Stall,
        Fault::Partition,
        Fault::Pause,
        Fault::ClockJump,
        Fault::WorkerCrash,
        Fault::WorkerDrain,
        Fault::ClientCrash,
        Fault::ClientClose,
        Fault::BrokerCrash,
        Fault::BrokerShutdown,
    ];
}

/// The parameters of one world.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) clients: usize,
    pub(crate) workers: usize,
    /// Whether a peer that breaks the protocol takes part.
    pub(crate) rogue: bool,
    /// Whether all peers must prove a key. Some connections of the rogue do not.
    pub(crate) keyed: bool,
    /// Whether each process is a peer of its own, with rights that change.
    pub(crate) restricted: bool,
    pub(crate) heartbeat_broker: Duration,
    pub(crate) heartbeat_peer: Duration,
    /// The longest delay of a message.
    pub(crate) delay: Duration,
    /// The longest time until a process handles its input.
    pub(crate) lag: Duration,
    /// The inputs that a process handles in one run.
    pub(crate) inputs_per_run: usize,
    pub(crate) credit_calls: u32,
    pub(crate) credit_bytes: u64,
    pub(crate) queue_calls: usize,
    /// Calls that may wait in all queues together.
    pub(crate) waiting_calls: usize,
    /// How long calls of a tenant may wait before the broker rejects further calls of that tenant.
    pub(crate) queue_age: Option<Duration>,
    /// The bytes of all reply caches of the broker together.
    pub(crate) outcomes_bytes: usize,
    /// The bytes in flight to one worker.
    pub(crate) worker_bytes: usize,
    /// Whether all peers without keys are one tenant.
    pub(crate) one_tenant: bool,
    /// The retry budget: a percentage of the calls of a service, a floor per second, and a burst.
    pub(crate) retries: [u32; 3],
    pub(crate) service_return: Duration,
    pub(crate) quiet_time: Duration,
    pub(crate) slots_max: u64,
    pub(crate) prefetch_max: u64,
    /// The percentage of workers whose services share slots.
    pub(crate) shared_slots_percent: u64,
    /// How long faults are injected and calls are made.
    pub(crate) chaos: Duration,
    /// The mean time between two calls of a client.
    pub(crate) call_every: Duration,
    /// Calls made at once, at most.
    pub(crate) burst: u64,
    /// The percentage of calls that their caller cancels.
    pub(crate) cancel_percent: u64,
    /// The percentage of calls without a timeout.
    pub(crate) no_timeout_percent: u64,
    pub(crate) timeout_max: Duration,
    /// The percentage of calls with a slow handler.
    pub(crate) slow_percent: u64,
    /// The percentage of calls with streams.
    pub(crate) stream_percent: u64,
    /// The percentage of calls with an affinity key.
    pub(crate) key_percent: u64,
    /// The percentage of the remaining calls that are broadcasts.
    pub(crate) broadcast_percent: u64,
    /// The mean time between two faults.
    pub(crate) fault_every: Duration,
    pub(crate) faults: Vec<Fault>,
    /// How many calls of a `read` method may run at once, over all workers.
    pub(crate) concurrency: Option<u32>,
    /// How long a call of a limited method may run.
    pub(crate) hard_ms: Option<u64>,
    /// The percentage of connection attempts that are refused.
    pub(crate) refuse_percent: u64,
    /// The percentage of connection attempts that are never answered.
    pub(crate) blackhole_percent: u64,
    /// The percentage of repeatable messages that arrive twice.
    pub(crate) duplicate_percent: u64,
    /// The percentage of calls whose handler starts late.
    pub(crate) late_start_percent: u64,
    /// The percentage of dispatches that a worker hands back for no reason.
    pub(crate) handback_percent: u64,
    /// The percentage of closed connections that lose unread messages.
    pub(crate) reset_percent: u64,
    /// Whether an operator pauses, limits, drains, cancels and purges.
    pub(crate) operated: bool,
}

impl Config {
    /// Draws the parameters. Swarm testing (Groce et al., 2012): each seed has a subset of the faults, so that no fault always hides
    /// another.
    pub(crate) fn draw(rng: &mut Rng) -> Config {
        let fault_free = rng.percent(8);
        let density = rng.pick(&[15, 30, 60, 100]);
        let mut on = |percent: u64| if fault_free || !rng.percent(density) { 0 } else { rng.below(percent + 1) };
        let (refuse, blackhole, duplicate, reset) = (on(30), on(15), on(20), on(50));
        let (late_start, handback) = (on(60), on(100));
        let rogue = !fault_free && rng.percent(25);
        let faults = Fault::ALL.into_iter().filter(|_| !fault_free && rng.percent(density)).collect();
        let narrow = rng.percent(50);
        let keyed = rng.percent(30);
        Config {
            clients: 1 + rng.index(3),
            workers: 1 + rng.index(4),
            rogue,
            keyed,
            restricted: keyed && rng.percent(60),
            heartbeat_broker: millis(rng.pick(&[200, 500, 1000])),
            heartbeat_peer: millis(rng.pick(&[200, 500, 1000])),
            delay: Duration::from_micros(rng.pick(&[0, 200, 2_000, 20_000, 150_000])),
            lag: Duration::from_micros(rng.pick(&[0, 0, 100, 2_000])),
            inputs_per_run: rng.pick(&[1, 3, 256]),
            // A message that arrives twice costs its credit twice, so there must be plenty.
            credit_calls: if narrow && duplicate == 0 { rng.pick(&[2, 3, 5, 16]) } else { 4_096 },
            credit_bytes: if duplicate == 0 { rng.pick(&[100_000, 1 << 26]) } else { 1 << 26 },
            queue_calls: rng.pick(&[1, 10, 10_000, 10_000, 10_000]),
            waiting_calls: rng.pick(&[8, 100_000, 100_000, 100_000]),
            queue_age: rng.pick(&[None, None, None, Some(millis(50))]),
            outcomes_bytes: rng.pick(&[SMALL_REPLY_CACHE_BYTES, 1 << 28, 1 << 28, 1 << 28]),
            concurrency: rng.pick(&[None, None, Some(1), Some(3)]),
            worker_bytes: rng.pick(&[1, 40, 1_000, 1 << 24]),
            one_tenant: rng.percent(50),
            retries: rng.pick(&[[10, 10, 1_000], [10, 10, 1_000], [10, 1, 5], [50, 0, 0]]),
            service_return: millis(rng.pick(&[200, 2_000, 10_000])),
            quiet_time: millis(rng.pick(&[1_000, 2_000])),
            slots_max: rng.pick(&[1, 2, 6, 6]),
            prefetch_max: rng.pick(&[0, 1, 3, 8]),
            shared_slots_percent: rng.pick(&[0, 0, 50, 100]),
            chaos: Duration::from_secs(4 + rng.below(20)),
            call_every: millis(rng.pick(&[30, 100, 250])),
            burst: rng.pick(&[1, 1, 1, 4, 12]),
            cancel_percent: rng.pick(&[0, 5, 30]),
            no_timeout_percent: rng.pick(&[0, 10, 50]),
            timeout_max: millis(rng.pick(&[300, 3_000, 3_000, 8_000])),
            slow_percent: rng.pick(&[0, 10, 40]),
            stream_percent: rng.pick(&[0, 20, 60]),
            key_percent: rng.pick(&[0, 20, 80]),
            hard_ms: rng.pick(&[None, None, Some(200), Some(1_000)]),
            broadcast_percent: rng.pick(&[0, 5, 30]),
            fault_every: millis(rng.pick(&[150, 600, 2_500])),
            faults,
            refuse_percent: refuse,
            blackhole_percent: blackhole,
            duplicate_percent: duplicate,
            late_start_percent: late_start,
            handback_percent: handback,
            reset_percent: reset,
            operated: !fault_free && rng.percent(25),
        }
    }

    /// Returns whether this world has no faults.
    pub(crate) fn is_fault_free(&self) -> bool {
        self.faults.is_empty()
            && !self.rogue
            && !self.operated
            && self.refuse_percent + self.blackhole_percent + self.duplicate_percent == 0
    }

    /// Returns whether each request arrives once, so that credit can be counted from outside.
    pub(crate) fn counts_credit(&self) -> bool {
        self.duplicate_percent == 0
    }

    /// Returns whether no clock jumps and no process is paused.
    pub(crate) fn clocks_agree(&self) -> bool {
        !self.faults.contains(&Fault::ClockJump) && !self.faults.contains(&Fault::Pause)
    }

    /// Returns whether no message takes longer than `delay`.
    pub(crate) fn delays_are_bounded(&self) -> bool {
        !self.faults.contains(&Fault::Stall) && !self.faults.contains(&Fault::Partition)
    }

    /// Turns off all faults and makes the network fast, so that the backlog ends in time.
    pub(crate) fn heal(&mut self) {
        self.delay = self.delay.min(millis(5));
        (self.refuse_percent, self.blackhole_percent, self.duplicate_percent, self.reset_percent) = (0, 0, 0, 0);
        (self.late_start_percent, self.handback_percent) = (0, 0);
    }
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
