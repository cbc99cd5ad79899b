//! A pool under a load that changes, in virtual time.

use super::*;

const LOOK: Duration = Duration::from_secs(1);
/// How long a new process takes before it serves.
const START: Duration = Duration::from_secs(2);
/// One call's time; processes have one slot each.
const CALL: Duration = Duration::from_millis(100);

/// A pool of which each process runs one call at a time, and what waits for it.
struct World {
    now: Time,
    autoscale: Autoscale,
    size: u32,
    serving: u32,
    ready_at: Time,
    /// Calls that wait, in hundredths.
    backlog: u64,
    /// When the size changed, and to what.
    changes: Vec<(u64, u32)>,
}

impl World {
    fn new(min: u32, max: u32) -> World {
        World {
            now: Time::ZERO,
            autoscale: Autoscale::new(Bounds { min, max }),
            size: min,
            serving: min,
            ready_at: Time::ZERO,
            backlog: 0,
            changes: Vec::new(),
        }
    }

    /// `load` is how many processes the calls keep busy, in hundredths, while `seconds` pass.
    fn pass(&mut self, seconds: u64, load: u64) {
        for _ in 0..seconds {
            self.now = self.now + LOOK;
            if self.now >= self.ready_at {
                self.serving = self.size;
            }
            let capacity = u64::from(self.serving) * 100;
            let each = (LOOK.as_millis() / CALL.as_millis()) as u64;
            let waiting = (self.backlog + load * each).saturating_sub(capacity * each);
            let running = capacity.min(load + self.backlog);
            self.backlog = waiting;
            let oldest_wait = CALL * u32::try_from(waiting / capacity).unwrap_or(u32::MAX);
            let demand =
                Demand { calls: (running + waiting).div_ceil(100), slots: u64::from(self.serving), oldest_wait };
            if let Some(size) = self.autoscale.decide(self.now, self.serving, demand) {
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
fn a_step_up_is_followed_within_twenty_seconds_and_then_nothing_flaps() {
    let mut world = World::new(2, 16);
    world.pass(60, 50);
    assert_eq!(world.changes, [], "an idle pool stays at its fewest");
    world.pass(20, 600);
    assert!(world.is_settled() && world.size >= 8, "{:?} backlog {}", world.changes, world.backlog);
    let settled = world.changes.len();
    world.pass(600, 600);
    let later = &world.changes[settled..];
    assert!(later.iter().all(|&(_, size)| size >= 8), "it never shrinks into its own growth: {later:?}");
    assert!(
        later.windows(2).all(|pair| pair[1].1 < pair[0].1),
        "what it took for the backlog it gives back: {later:?}"
    );
    let last = world.changes.len();
    world.pass(3_600, 600);
    assert_eq!(world.changes.len(), last, "then it is steady: {:?}", world.changes);
}

#[test]
fn a_step_down_is_followed_one_by_one_and_not_before_half_a_minute() {
    let mut world = World::new(2, 16);
    world.pass(120, 900);
    let most = world.size;
    let end = world.now.as_micros() / 1_000_000;
    let before = world.changes.len();
    world.pass(1_200, 20);
    let down = &world.changes[before..];
    assert!(down[0].0 >= end + 29, "{down:?}");
    assert!(down.windows(2).all(|pair| pair[1].1 + 1 == pair[0].1 && pair[1].0 >= pair[0].0 + 30), "{down:?}");
    assert_eq!((world.size, down.len()), (2, (most - 2) as usize), "in the end it is at its fewest");
}

#[test]
fn a_spike_of_a_second_makes_it_twice_as_large_at_most() {
    let mut world = World::new(4, 16);
    world.pass(10, 100);
    world.pass(1, 5_000);
    assert!(world.size <= 8, "{:?}", world.changes);
}

#[test]
fn the_bounds_hold_whatever_the_load() {
    let mut world = World::new(2, 5);
    world.pass(300, 100_000);
    assert_eq!(world.size, 5);
    let mut decide = Autoscale::new(Bounds { min: 3, max: 5 });
    for second in 0..1_000 {
        assert_eq!(decide.decide(Time::from_micros(second * 1_000_000), 3, Demand::default()), None);
    }
}

#[test]
fn a_load_between_the_marks_changes_nothing() {
    let mut decide = Autoscale::new(Bounds { min: 1, max: 100 });
    for second in 0..600 {
        let demand = Demand { calls: 45 + second % 30, slots: 100, oldest_wait: Duration::ZERO };
        assert_eq!(decide.decide(Time::from_micros(second * 1_000_000), 10, demand), None);
    }
}

#[test]
fn calls_that_wait_long_make_it_grow_though_slots_are_free() {
    let mut decide = Autoscale::new(Bounds { min: 1, max: 8 });
    let demand = Demand { calls: 1, slots: 64, oldest_wait: WAIT_HIGH };
    assert_eq!(decide.decide(Time::ZERO, 2, demand), Some(3));
    assert_eq!(decide.decide(Time::ZERO + LOOK, 2, demand), None, "the new one has not begun yet");
}
