//! A simulated pool under a changing load, in virtual time.

use super::*;

/// The interval of the measurements.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a new process takes to start.
const START: Duration = Duration::from_secs(2);
/// The duration of one call. Each process has one slot.
const CALL: Duration = Duration::from_millis(100);

/// A simulated pool whose processes run one call at a time, and its waiting calls.
struct SimulatedPool {
    now: Time,
    autoscaler: Autoscaler,
    size: u32,
    serving: u32,
    ready_at: Time,
    /// Waiting calls, in hundredths.
    backlog: u64,
    /// The changes of the size: the second, and the new size.
    changes: Vec<(u64, u32)>,
}

impl SimulatedPool {
    fn new(min: u32, max: u32) -> SimulatedPool {
        SimulatedPool {
            now: Time::ZERO,
            autoscaler: Autoscaler::new(Bounds { min, max }),
            size: min,
            serving: min,
            ready_at: Time::ZERO,
            backlog: 0,
            changes: Vec::new(),
        }
    }

    /// Lets `seconds` pass. `busy` is how many processes the arriving calls keep busy, in hundredths.
    fn pass(&mut self, seconds: u64, busy: u64) {
        for _ in 0..seconds {
            self.now = self.now + INTERVAL;
            if self.now >= self.ready_at {
                self.serving = self.size;
            }
            let capacity = u64::from(self.serving) * 100;
            let calls_per_process = (INTERVAL.as_millis() / CALL.as_millis()) as u64;
            let waiting = (self.backlog + busy * calls_per_process).saturating_sub(capacity * calls_per_process);
            let running = capacity.min(busy + self.backlog);
            self.backlog = waiting;
            let oldest_wait = CALL * u32::try_from(waiting / capacity).unwrap_or(u32::MAX);
            let load =
                PoolLoad { calls: (running + waiting).div_ceil(100), slots: u64::from(self.serving), oldest_wait };
            if let Some(size) = self.autoscaler.decide(self.now, self.serving, load) {
                self.size = size;
                self.ready_at = self.now + START;
                self.serving = self.serving.min(size);
                self.changes.push((self.now.as_micros() / 1_000_000, size));
            }
        }
    }

    fn is_settled(&self) -> bool {
        self.serving == self.size && self.backlog == 0
    }
}

#[test]
fn a_load_step_up_is_met_within_twenty_seconds_without_oscillation() {
    let mut pool = SimulatedPool::new(2, 16);
    pool.pass(60, 50);
    assert_eq!(pool.changes, [], "an idle pool stays at its minimum");
    pool.pass(20, 600);
    assert!(pool.is_settled() && pool.size >= 8, "{:?} backlog {}", pool.changes, pool.backlog);
    let settled = pool.changes.len();
    pool.pass(600, 600);
    let later = &pool.changes[settled..];
    assert!(
        later.iter().all(|&(_, size)| size >= 8),
        "it does not shrink below the size that the load needs: {later:?}"
    );
    assert!(
        later.windows(2).all(|pair| pair[1].1 < pair[0].1),
        "it only gives back the processes that it started for the backlog: {later:?}"
    );
    let last = pool.changes.len();
    pool.pass(3_600, 600);
    assert_eq!(pool.changes.len(), last, "the size is stable after that: {:?}", pool.changes);
}

#[test]
fn a_load_step_down_shrinks_the_pool_one_process_every_half_minute() {
    let mut pool = SimulatedPool::new(2, 16);
    pool.pass(120, 900);
    let most = pool.size;
    let end = pool.now.as_micros() / 1_000_000;
    let before = pool.changes.len();
    pool.pass(1_200, 20);
    let down = &pool.changes[before..];
    assert!(down[0].0 >= end + 29, "{down:?}");
    assert!(down.windows(2).all(|pair| pair[1].1 + 1 == pair[0].1 && pair[1].0 >= pair[0].0 + 30), "{down:?}");
    assert_eq!((pool.size, down.len()), (2, (most - 2) as usize), "it ends at its minimum");
}

#[test]
fn a_spike_of_one_second_at_most_doubles_the_size() {
    let mut pool = SimulatedPool::new(4, 16);
    pool.pass(10, 100);
    pool.pass(1, 5_000);
    assert!(pool.size <= 8, "{:?}", pool.changes);
}

#[test]
fn the_bounds_hold_under_any_load() {
    let mut pool = SimulatedPool::new(2, 5);
    pool.pass(300, 100_000);
    assert_eq!(pool.size, 5);
    let mut autoscaler = Autoscaler::new(Bounds { min: 3, max: 5 });
    for second in 0..1_000 {
        assert_eq!(autoscaler.decide(Time::from_micros(second * 1_000_000), 3, PoolLoad::default()), None);
    }
}

#[test]
fn a_utilisation_between_low_and_high_changes_nothing() {
    let mut autoscaler = Autoscaler::new(Bounds { min: 1, max: 100 });
    for second in 0..600 {
        let load = PoolLoad { calls: 45 + second % 30, slots: 100, oldest_wait: Duration::ZERO };
        assert_eq!(autoscaler.decide(Time::from_micros(second * 1_000_000), 10, load), None);
    }
}

#[test]
fn calls_that_wait_long_scale_up_even_with_free_slots() {
    let mut autoscaler = Autoscaler::new(Bounds { min: 1, max: 8 });
    let load = PoolLoad { calls: 1, slots: 64, oldest_wait: WAIT_HIGH };
    assert_eq!(autoscaler.decide(Time::ZERO, 2, load), Some(3));
    assert_eq!(autoscaler.decide(Time::ZERO + INTERVAL, 2, load), None, "the cooldown is not over");
}
