//! When a replica's process is restarted, and when its exits count as a crash loop.

use std::{collections::VecDeque, fmt, time::Duration};

use callboard_core::{text::HumanDuration, time::Time};

use crate::pool::process::Exit;

/// The delay before the second consecutive restart. The first restart has no delay.
pub const RESTART_DELAY_MIN: Duration = Duration::from_millis(100);
/// The longest delay before a restart. It is short, so that a repaired program starts soon.
pub const RESTART_DELAY_MAX: Duration = Duration::from_secs(10);
/// A process that ran at least this long resets the delay of its replica.
pub const RESTART_RESET: Duration = Duration::from_secs(30);
/// This many exits of one replica's processes within [`CRASH_LOOP_WINDOW`] are a crash loop.
pub const CRASH_LOOP_EXITS: usize = 5;
/// The time within which [`CRASH_LOOP_EXITS`] exits are a crash loop.
pub const CRASH_LOOP_WINDOW: Duration = Duration::from_secs(10);

/// The crash loop of one replica: why a pool gave up, or continues without one of its workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrashLoop {
    /// The name of the replica's last process.
    pub instance: String,
    /// How many processes of the replica exited, this one included.
    pub exits: usize,
    /// Within how much time they exited.
    pub within: Duration,
    /// How the last process exited.
    pub last_exit: Exit,
}

impl fmt::Display for CrashLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CrashLoop { instance, exits, within, last_exit } = self;
        let within = HumanDuration(*within);
        write!(f, "worker {instance} is in a crash loop: {exits} exits within {within}, last: {last_exit}")
    }
}

/// What to do after an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Start another process after this delay.
    Restart(Duration),
    /// The replica is in a crash loop: give up, or, if other replicas are healthy, start another process after the longest delay.
    /// `first`: this exit began the crash loop.
    CrashLoop { first: bool, after: Duration },
}

/// The recent exits of one replica's processes, and the delay that follows from them.
#[derive(Clone, Debug, Default)]
pub(super) struct RestartBackoff {
    /// Restarts since a process last ran for [`RESTART_RESET`].
    consecutive: u32,
    /// The replica is in a crash loop, and no process has run for [`RESTART_RESET`] since.
    crash_looping: bool,
    /// The times of the last exits, oldest first; at most [`CRASH_LOOP_EXITS`].
    exits: VecDeque<Time>,
}

impl RestartBackoff {
    /// Records the exit of a process that ran for `uptime`. `random` is uniform over its whole range.
    pub(super) fn on_exit(&mut self, now: Time, uptime: Duration, random: u32) -> Decision {
        if uptime >= RESTART_RESET {
            (self.consecutive, self.crash_looping) = (0, false);
        }
        let first = !self.crash_looping;
        self.crash_looping |= self.is_crash_loop(now);
        if self.crash_looping {
            return Decision::CrashLoop { first, after: with_jitter(RESTART_DELAY_MAX, random) };
        }
        let delay = delay(self.consecutive);
        self.consecutive = self.consecutive.saturating_add(1);
        Decision::Restart(with_jitter(delay, random))
    }

    pub(super) fn is_crash_looping(&self) -> bool {
        self.crash_looping
    }

    fn is_crash_loop(&mut self, now: Time) -> bool {
        if self.exits.len() == CRASH_LOOP_EXITS {
            self.exits.pop_front();
        }
        self.exits.push_back(now);
        self.exits.len() == CRASH_LOOP_EXITS && now.since(self.exits[0]) <= CRASH_LOOP_WINDOW
    }
}

/// Returns the delay before a restart that follows `consecutive` others: doubling, up to [`RESTART_DELAY_MAX`].
fn delay(consecutive: u32) -> Duration {
    let Some(doublings) = consecutive.checked_sub(1) else {
        return Duration::ZERO;
    };
    let factor = 2_u32.saturating_pow(doublings);
    RESTART_DELAY_MIN.saturating_mul(factor).min(RESTART_DELAY_MAX)
}

/// Returns `delay` minus up to a quarter, so that replicas that crashed together do not restart together every time. Jitter only
/// shortens the delay, so that [`RESTART_DELAY_MAX`] stays the maximum.
fn with_jitter(delay: Duration, random: u32) -> Duration {
    delay - (delay / 4).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_secs(11);

    /// Returns the delays after `count` exits, `SHORT` apart so that they are not a crash loop.
    fn delays(count: u64, random: u32) -> Vec<Duration> {
        let mut backoff = RestartBackoff::default();
        let delay = |number| match backoff.on_exit(Time::ZERO + SHORT * number, Duration::from_secs(1), random) {
            Decision::Restart(delay) => delay,
            Decision::CrashLoop { .. } => panic!("exits {SHORT:?} apart are not a crash loop"),
        };
        (1..=u32::try_from(count).expect("a small number")).map(delay).collect()
    }

    #[test]
    fn the_first_restart_has_no_delay_and_later_delays_double_up_to_ten_seconds() {
        let millis: Vec<_> = delays(10, 0).iter().map(Duration::as_millis).collect();
        assert_eq!(millis, [0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    }

    #[test]
    fn jitter_shortens_a_delay_by_at_most_a_quarter() {
        let millis: Vec<_> = delays(3, u32::MAX).iter().map(Duration::as_millis).collect();
        assert_eq!(millis, [0, 75, 150]);
    }

    #[test]
    fn a_long_uptime_resets_the_delay() {
        let mut backoff = RestartBackoff::default();
        for number in 1..=4 {
            backoff.on_exit(Time::ZERO + SHORT * number, Duration::ZERO, 0);
        }
        let decision = backoff.on_exit(Time::ZERO + SHORT * 8, RESTART_RESET, 0);
        assert_eq!(decision, Decision::Restart(Duration::ZERO));
    }

    #[test]
    fn five_exits_within_ten_seconds_are_a_crash_loop_and_four_are_not() {
        let mut backoff = RestartBackoff::default();
        for second in [0, 2, 4, 6] {
            let decision = backoff.on_exit(Time::ZERO + Duration::from_secs(second), Duration::ZERO, 0);
            assert!(matches!(decision, Decision::Restart(_)));
        }
        let late = backoff.clone().on_exit(Time::ZERO + Duration::from_millis(10_001), Duration::ZERO, 0);
        assert!(matches!(late, Decision::Restart(_)), "the first exit is outside of the window");
        let crash_loop = Decision::CrashLoop { first: true, after: RESTART_DELAY_MAX };
        assert_eq!(backoff.on_exit(Time::ZERO + CRASH_LOOP_WINDOW, Duration::ZERO, 0), crash_loop);
    }

    #[test]
    fn a_crash_loop_ends_with_a_long_uptime() {
        let mut backoff = RestartBackoff::default();
        for _ in 0..CRASH_LOOP_EXITS {
            backoff.on_exit(Time::ZERO, Duration::ZERO, 0);
        }
        assert!(backoff.is_crash_looping());
        let continued = Decision::CrashLoop { first: false, after: RESTART_DELAY_MAX };
        assert_eq!(backoff.on_exit(Time::ZERO + SHORT, Duration::ZERO, 0), continued, "at any interval between exits");
        assert_eq!(backoff.on_exit(Time::ZERO + SHORT * 9, RESTART_RESET, 0), Decision::Restart(Duration::ZERO));
        assert!(!backoff.is_crash_looping());
    }

    #[test]
    fn any_number_of_restarts_has_a_delay() {
        assert_eq!(delay(u32::MAX), RESTART_DELAY_MAX);
    }

    #[test]
    fn a_crash_loop_is_described_in_one_sentence() {
        let within = Duration::from_secs(10);
        let crash_loop = CrashLoop { instance: "echo-2.4".into(), exits: 5, within, last_exit: Exit::Signal(11) };
        let sentence = "worker echo-2.4 is in a crash loop: 5 exits within 10s, last: signal 11 (SIGSEGV)";
        assert_eq!(crash_loop.to_string(), sentence);
    }
}
