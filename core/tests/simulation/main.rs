//! The simulation: broker, clients and workers in one process, in virtual time, with everything going wrong that a seed wants.
//!
//! Each seed makes a world: some hosts, a network, and a choice of faults. The three machines run in it exactly as their drivers
//! would run them, and talk in real frames. After each step they check themselves, and the ledger checks what none of them can see
//! alone: no call has two outcomes or the answer of another, `once` runs once, `executed: no` never ran, deadlines are kept. Then
//! the faults end, and everything must come to rest, answer, and be idle.
//!
//! | file | what it holds |
//! |---|---|
//! | `knobs` | what a seed decides |
//! | `world` | all processes, and what happens next |
//! | `scene` | what each process sees of the world |
//! | `network` | connections that keep their order, delay, stall and break |
//! | `process`, `socket` | how a machine is run, as a driver would |
//! | `broker`, `client`, `worker`, `rogue` | the processes |
//! | `callers`, `catalogue` | what is called, and what is served |
//! | `streams` | items, and who writes and reads them |
//! | `keys` | affinity keys: what is dispatched one at a time |
//! | `faults` | what goes wrong |
//! | `ledger` | each call, and what must never become of it |
//! | `healing` | what must happen once nothing goes wrong any more |
//! | `trace`, `chance` | what happened, and why |
//!
//! A failure prints its seed, its knobs and the last events. To see it again:
//!
//! ```text
//! CALLBOARD_SEED=123 cargo test -p callboard-core --test simulation
//! ```
//!
//! To run more seeds than the short form does: `CALLBOARD_SEEDS=20000`. To see that the simulation would notice: `mutants.sh`
//! beside this file.

#![allow(clippy::unwrap_used)]

mod broker;
mod callers;
mod catalogue;
mod chance;
mod client;
mod faults;
mod healing;
mod keys;
mod knobs;
mod ledger;
mod network;
mod process;
mod rogue;
mod scene;
mod socket;
mod streams;
mod trace;
mod worker;
mod world;

use std::{
    num::NonZero,
    panic::{self, AssertUnwindSafe},
    thread,
};

use self::{ledger::Tally, world::World};

/// Seeds of the short form.
const SEEDS: u64 = 2_000;
/// One seed in so many runs twice, and does the same both times.
const TWICE_EVERY: u64 = 10;

#[test]
fn simulation_keeps_every_promise_whatever_goes_wrong() {
    if let Some(seed) = number_from("CALLBOARD_SEED") {
        run(seed);
        return;
    }
    let seeds = number_from("CALLBOARD_SEEDS").unwrap_or(SEEDS);
    let tallies: Vec<Tally> = share(seeds, |seed| {
        let (digest, tally) = run(seed);
        assert!(!seed.is_multiple_of(TWICE_EVERY) || run(seed).0 == digest, "seed {seed} is not the same each time");
        tally
    });
    // A simulation in which nothing works, or nothing goes wrong, would prove nothing.
    let some = |which: fn(&Tally) -> bool| tallies.iter().filter(|tally| which(tally)).count() as u64 * 8 >= seeds;
    assert!(some(|tally| tally.answered * 2 > tally.calls), "in some worlds most calls must be answered");
    assert!(some(|tally| tally.failed > 0), "in some worlds calls must fail");
    assert!(some(|tally| tally.repeated > 0), "in some worlds calls must be sent again");
    assert!(some(|tally| tally.broadcast > 20), "in some worlds broadcasts must be run");
    assert!(some(|tally| tally.items > 1_000), "in some worlds items must go");
    assert!(some(|tally| tally.keyed > 20), "in some worlds calls must have keys");
}

/// Runs all seeds, on as many threads as the machine has processors. Worlds know nothing of each other.
fn share(seeds: u64, work: impl Fn(u64) -> Tally + Sync) -> Vec<Tally> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get) as u64;
    let every = |thread| (thread..seeds).step_by(usize::try_from(threads).expect("there are few")).map(&work).collect();
    thread::scope(|scope| {
        let runs: Vec<_> = (0..threads).map(|thread| scope.spawn(move || every(thread))).collect();
        let done = runs.into_iter().map(|run| run.join().unwrap_or_else(|failure| panic::resume_unwind(failure)));
        done.flat_map(|tallies: Vec<Tally>| tallies).collect()
    })
}

/// Runs a seed. Returns the digest of its trace, and what it did.
fn run(seed: u64) -> (u64, Tally) {
    let mut world = World::new(seed, false);
    match panic::catch_unwind(AssertUnwindSafe(|| world.run())) {
        Ok(()) => {
            let tally = Tally { keyed: world.scene.keys.dispatched, ..world.scene.ledger.tally };
            (world.scene.trace.digest(), tally)
        }
        Err(_) => tell(seed),
    }
}

/// Runs a seed that fails once more, and tells how.
fn tell(seed: u64) -> ! {
    let mut world = World::new(seed, true);
    let knobs = world.scene.knobs.clone();
    let failure = panic::catch_unwind(AssertUnwindSafe(|| world.run())).expect_err("a seed fails each time");
    let text = failure.downcast_ref::<String>().map(String::as_str).or(failure.downcast_ref::<&str>().copied());
    let (reason, tail, steps) = (text.unwrap_or("no reason"), world.scene.trace.tail(), world.steps);
    panic!(
        "seed {seed} fails in step {steps}: {reason}\n{knobs:#?}\nthe last events:\n{tail}\n\
         CALLBOARD_SEED={seed} cargo test -p callboard-core --test simulation\n"
    );
}

/// A number in the environment.
///
/// # Panics
/// If it is there and is none.
#[allow(clippy::disallowed_methods, reason = "the core reads no environment; this test of it does, to be told a seed")]
fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, and is {text:?}")))
}
