//! The simulation: broker, clients and workers in one process, in virtual time, with the faults that a seed selects.
//!
//! Each seed makes a world: some processes, a network, and a set of faults. The three machines run in it as their drivers run
//! them, and exchange real frames. After each step each machine asserts its invariants. The ledger checks what no machine can
//! see alone: no call has two outcomes or the reply of another, a `once` call runs once, `executed: no` never ran, and deadlines
//! are kept. Then the faults end, and every call must end, every method must answer, and every process must become idle.
//!
//! | file | content |
//! |---|---|
//! | `config` | the parameters of a world, drawn from its seed |
//! | `world` | all processes, and the event loop |
//! | `context` | what all processes share: time, network, ledger, trace |
//! | `network` | connections that keep their order, deliver late, stall and break |
//! | `process`, `socket` | how a driver runs a machine |
//! | `broker`, `client`, `worker`, `rogue` | the processes |
//! | `workload`, `catalogue` | the calls of the clients, and the methods of the workers |
//! | `streams` | items, and the ends that write and read them |
//! | `keys` | checks that calls of one affinity key run one at a time |
//! | `faults` | injects the faults |
//! | `operator` | pauses, limits, drains, cancels and purges, and checks that nothing paused runs |
//! | `ledger` | records each call, and checks its outcome |
//! | `healing` | checks that the world recovers after the last fault |
//! | `trace`, `rng` | the event trace, and the random numbers |
//!
//! A failure prints its seed, its parameters and the last events. To reproduce it:
//!
//! ```text
//! CALLBOARD_SEED=123 cargo test -p callboard-core --test simulation
//! ```
//!
//! `CALLBOARD_SEEDS=20000` runs more seeds. `mutants.sh` beside this file checks that the simulation detects deliberate bugs.

#![allow(clippy::unwrap_used)]

mod broker;
mod catalogue;
mod client;
mod config;
mod context;
mod faults;
mod healing;
mod keys;
mod ledger;
mod network;
mod operator;
mod process;
mod rights;
mod rng;
mod rogue;
mod socket;
mod streams;
mod trace;
mod worker;
mod workload;
mod world;

use std::{
    num::NonZero,
    panic::{self, AssertUnwindSafe},
    thread,
};

use self::{ledger::Stats, world::World};

/// The number of seeds by default.
const SEEDS: u64 = 2_000;
/// One seed in this many runs twice, and must give the same trace.
const REPLAY_EVERY: u64 = 10;

#[test]
fn simulation_keeps_every_guarantee_under_faults() {
    if let Some(seed) = read_number("CALLBOARD_SEED") {
        run(seed);
        return;
    }
    let seeds = read_number("CALLBOARD_SEEDS").unwrap_or(SEEDS);
    let all_stats: Vec<Stats> = run_all(seeds, |seed| {
        let (digest, stats) = run(seed);
        assert!(!seed.is_multiple_of(REPLAY_EVERY) || run(seed).0 == digest, "seed {seed} is not deterministic");
        stats
    });
    // A simulation without successful calls, or without faults, proves nothing.
    let some = |which: fn(&Stats) -> bool| all_stats.iter().filter(|stats| which(stats)).count() as u64 * 8 >= seeds;
    assert!(some(|stats| stats.answered * 2 > stats.calls), "in some worlds most calls must be answered");
    assert!(some(|stats| stats.failed > 0), "in some worlds calls must fail");
    assert!(some(|stats| stats.repeated > 0), "in some worlds calls must be sent again");
    assert!(some(|stats| stats.broadcast > 20), "in some worlds broadcasts must be run");
    assert!(some(|stats| stats.prefetched > 0), "in some worlds calls must be held ready");
    assert!(some(|stats| stats.items > 1_000), "in some worlds items must be sent");
    assert!(some(|stats| stats.keyed > 20), "in some worlds calls must have keys");
    assert!(some(|stats| stats.denied > 5), "in some worlds calls must be denied");
    assert!(some(|stats| stats.operated > 5), "in some worlds an operator must change something");
}

/// Runs all seeds on one thread for each processor. Worlds share no state.
fn run_all(seeds: u64, work: impl Fn(u64) -> Stats + Sync) -> Vec<Stats> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get) as u64;
    let every = |thread| {
        (thread..seeds).step_by(usize::try_from(threads).expect("the number of threads is small")).map(&work).collect()
    };
    thread::scope(|scope| {
        let runs: Vec<_> = (0..threads).map(|thread| scope.spawn(move || every(thread))).collect();
        let done = runs.into_iter().map(|run| run.join().unwrap_or_else(|failure| panic::resume_unwind(failure)));
        done.flat_map(|all_stats: Vec<Stats>| all_stats).collect()
    })
}

/// Runs a seed. Returns the digest of its trace and its statistics.
fn run(seed: u64) -> (u64, Stats) {
    let mut world = World::new(seed, false);
    match panic::catch_unwind(AssertUnwindSafe(|| world.run())) {
        Ok(()) => {
            let (keyed, denied) = (world.context.keys.dispatched, world.context.peers.denied);
            let stats = Stats { keyed, denied, ..world.context.ledger.stats };
            (world.context.trace.digest(), stats)
        }
        Err(_) => report(seed),
    }
}

/// Runs a failing seed again with a trace, and panics with a report.
fn report(seed: u64) -> ! {
    let mut world = World::new(seed, true);
    let config = world.context.config.clone();
    let failure = panic::catch_unwind(AssertUnwindSafe(|| world.run())).expect_err("a failing seed fails each time");
    let text = failure.downcast_ref::<String>().map(String::as_str).or(failure.downcast_ref::<&str>().copied());
    let (reason, tail, steps) = (text.unwrap_or("no reason"), world.context.trace.tail(), world.steps);
    panic!(
        "seed {seed} fails in step {steps}: {reason}\n{config:#?}\nthe last events:\n{tail}\n\
         CALLBOARD_SEED={seed} cargo test -p callboard-core --test simulation\n"
    );
}

/// Returns the number in an environment variable.
///
/// # Panics
/// If the value is not a number.
#[allow(clippy::disallowed_methods, reason = "the core reads no environment; this test of it reads the seed")]
fn read_number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {text:?}")))
}
