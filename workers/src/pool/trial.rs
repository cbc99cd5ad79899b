//! Whether the new processes of a reload do worse than the old ones beside them: pure.

/// Calls that new processes must have answered before anything is said of them: of fewer, chance says more than the program.
pub const TRIAL_CALLS_MIN: u64 = 10;
/// How many more of a hundred calls may fail at the new ones than at the old ones.
pub const TRIAL_WORSE_MAX: u64 = 10;

/// What some processes have answered during the trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls with a result.
    pub answered: u64,
    /// Calls with a failure.
    pub failed: u64,
}

impl Tally {
    fn calls(self) -> u64 {
        self.answered + self.failed
    }

    /// How many of a hundred calls fail.
    fn failing(self) -> u64 {
        self.failed * 100 / self.calls().max(1)
    }
}

/// Why the new ones are not to take over, if so. Old ones that had no calls count as ones that fail none: a program whose calls
/// all fail is no progress.
pub fn worse(old: Tally, new: Tally) -> Option<String> {
    let (before, after) = (old.failing(), new.failing());
    let judged = new.calls() >= TRIAL_CALLS_MIN && after > before + TRIAL_WORSE_MAX;
    judged.then(|| {
        let (failed, calls) = (new.failed, new.calls());
        format!("{failed} of {calls} calls failed at the new workers, and {before} of a hundred at the old ones")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(answered: u64, failed: u64) -> Tally {
        Tally { answered, failed }
    }

    #[test]
    fn more_failures_than_the_old_ones_have_condemn() {
        assert_eq!(worse(tally(95, 5), tally(95, 5)), None);
        assert_eq!(worse(tally(50, 50), tally(45, 55)), None, "calls that fail anyhow say nothing");
        let why = worse(tally(100, 0), tally(10, 10)).expect("half of them fail");
        assert_eq!(why, "10 of 20 calls failed at the new workers, and 0 of a hundred at the old ones");
    }

    #[test]
    fn a_few_calls_condemn_nobody() {
        assert_eq!(worse(tally(100, 0), tally(0, 9)), None);
        assert!(worse(Tally::default(), tally(0, 10)).is_some());
    }
}
