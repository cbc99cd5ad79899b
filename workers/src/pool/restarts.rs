//! When a seat's process is started again, and when that is given up.

use std::{collections::VecDeque, time::Duration};

use callboard_core::time::Time;

/// The wait before the second restart in a row; the first one is made at once.
pub const RESTART_DELAY_MIN: Duration = Duration::from_millis(100);
/// The longest wait before a restart: what was broken may have been repaired, and then nobody wants to wait much longer.
pub const RESTART_DELAY_MAX: Duration = Duration::from_secs(10);
/// A process that has run this long was well: its end starts a new row of restarts.
pub const RESTART_RESET: Duration = Duration::from_secs(30);
/// This many ends of one seat's processes within [`CRASH_LOOP_WINDOW`] are a crash loop.
pub const CRASH_LOOP_EXITS: usize = 5;
/// See [`CRASH_LOOP_EXITS`].
pub const CRASH_LOOP_WINDOW: Duration = Duration::from_secs(10);

/// What to do after a process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Start another after this wait.
    Again(Duration),
    /// It ends again and again: stop trying, or, where others serve, start another after the longest wait. `first`: until now
    /// nothing said so.
    CrashLoop { first: bool, after: Duration },
}

/// The ends of one seat's processes, as far as they matter.
#[derive(Clone, Debug, Default)]
pub(super) struct Restarts {
    /// Restarts since a process last ran for [`RESTART_RESET`].
    in_a_row: u32,
    /// It is in a crash loop, and no process has run for [`RESTART_RESET`] since.
    looping: bool,
    /// When the last processes ended, oldest first; at most [`CRASH_LOOP_EXITS`].
    ends: VecDeque<Time>,
}

impl Restarts {
    /// A process has ended that ran for `ran`. `chance` is uniform over its whole range.
    pub(super) fn ended(&mut self, now: Time, ran: Duration, chance: u32) -> Decision {
        if ran >= RESTART_RESET {
            (self.in_a_row, self.looping) = (0, false);
        }
        let first = !self.looping;
        self.looping |= self.is_crash_loop(now);
        if self.looping {
            return Decision::CrashLoop { first, after: shortened(RESTART_DELAY_MAX, chance) };
        }
        let wait = delay(self.in_a_row);
        self.in_a_row = self.in_a_row.saturating_add(1);
        Decision::Again(shortened(wait, chance))
    }

    /// Whether its processes end again and again.
    pub(super) fn is_looping(&self) -> bool {
        self.looping
    }

    fn is_crash_loop(&mut self, now: Time) -> bool {
        if self.ends.len() == CRASH_LOOP_EXITS {
            self.ends.pop_front();
        }
        self.ends.push_back(now);
        self.ends.len() == CRASH_LOOP_EXITS && now.since(self.ends[0]) <= CRASH_LOOP_WINDOW
    }
}

/// The wait before a restart that follows `in_a_row` others.
fn delay(in_a_row: u32) -> Duration {
    let Some(doublings) = in_a_row.checked_sub(1) else {
        return Duration::ZERO;
    };
    let factor = 2_u32.saturating_pow(doublings);
    RESTART_DELAY_MIN.saturating_mul(factor).min(RESTART_DELAY_MAX)
}

/// `wait`, less up to a quarter: seats that fell together must not come back together for ever. Shortened, not lengthened,
/// so that the longest wait stays what its name says.
fn shortened(wait: Duration, chance: u32) -> Duration {
    wait - (wait / 4).mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_secs(11);

    /// The waits after `count` ends that are `SHORT` apart, so that they are no crash loop.
    fn waits(count: u64, chance: u32) -> Vec<Duration> {
        let mut restarts = Restarts::default();
        let wait = |number| match restarts.ended(Time::ZERO + SHORT * number, Duration::from_secs(1), chance) {
            Decision::Again(wait) => wait,
            Decision::CrashLoop { .. } => panic!("ends {SHORT:?} apart are no crash loop"),
        };
        (1..=u32::try_from(count).expect("a small number")).map(wait).collect()
    }

    #[test]
    fn the_first_restart_is_made_at_once_and_the_next_waits_double_up_to_ten_seconds() {
        let millis: Vec<_> = waits(10, 0).iter().map(Duration::as_millis).collect();
        assert_eq!(millis, [0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    }

    #[test]
    fn chance_takes_away_a_quarter_at_most() {
        let millis: Vec<_> = waits(3, u32::MAX).iter().map(Duration::as_millis).collect();
        assert_eq!(millis, [0, 75, 150]);
    }

    #[test]
    fn a_process_that_ran_long_starts_a_new_row() {
        let mut restarts = Restarts::default();
        for number in 1..=4 {
            restarts.ended(Time::ZERO + SHORT * number, Duration::ZERO, 0);
        }
        let decision = restarts.ended(Time::ZERO + SHORT * 8, RESTART_RESET, 0);
        assert_eq!(decision, Decision::Again(Duration::ZERO));
    }

    #[test]
    fn five_ends_within_ten_seconds_are_a_crash_loop_and_four_are_not() {
        let mut restarts = Restarts::default();
        for second in [0, 2, 4, 6] {
            let decision = restarts.ended(Time::ZERO + Duration::from_secs(second), Duration::ZERO, 0);
            assert!(matches!(decision, Decision::Again(_)));
        }
        let late = restarts.clone().ended(Time::ZERO + Duration::from_millis(10_001), Duration::ZERO, 0);
        assert!(matches!(late, Decision::Again(_)), "the first end is too long ago");
        let loops = Decision::CrashLoop { first: true, after: RESTART_DELAY_MAX };
        assert_eq!(restarts.ended(Time::ZERO + CRASH_LOOP_WINDOW, Duration::ZERO, 0), loops);
    }

    #[test]
    fn a_crash_loop_lasts_until_a_process_has_run_long() {
        let mut restarts = Restarts::default();
        for _ in 0..CRASH_LOOP_EXITS {
            restarts.ended(Time::ZERO, Duration::ZERO, 0);
        }
        assert!(restarts.is_looping());
        let on = Decision::CrashLoop { first: false, after: RESTART_DELAY_MAX };
        assert_eq!(restarts.ended(Time::ZERO + SHORT, Duration::ZERO, 0), on, "however slowly they follow");
        assert_eq!(restarts.ended(Time::ZERO + SHORT * 9, RESTART_RESET, 0), Decision::Again(Duration::ZERO));
        assert!(!restarts.is_looping());
    }

    #[test]
    fn a_row_of_any_length_has_a_wait() {
        assert_eq!(delay(u32::MAX), RESTART_DELAY_MAX);
    }
}
