//! The canary comparison: whether the new processes of a reload fail more calls than the old ones beside them.

/// The number of calls that the new processes must have completed before they are compared. A smaller sample is not significant.
pub const CANARY_CALLS_MIN: u64 = 10;
/// How much higher the failure rate of the new processes can be, in percentage points.
pub const CANARY_FAILURE_INCREASE_MAX: u64 = 10;

/// The calls that a group of processes completed during the canary period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Calls that returned a result.
    pub succeeded: u64,
    /// Calls that failed.
    pub failed: u64,
}

impl CallCounts {
    fn total(self) -> u64 {
        self.succeeded + self.failed
    }

    fn failure_percentage(self) -> u64 {
        self.failed * 100 / self.total().max(1)
    }
}

/// Returns why the pool must roll back, or `None` if the new processes are good enough.
///
/// Old processes without calls count as a failure rate of 0: a new program that fails every call is no improvement.
pub fn canary_failure(old: CallCounts, new: CallCounts) -> Option<String> {
    let (old_percentage, new_percentage) = (old.failure_percentage(), new.failure_percentage());
    let fails = new.total() >= CANARY_CALLS_MIN && new_percentage > old_percentage + CANARY_FAILURE_INCREASE_MAX;
    fails.then(|| {
        let (failed, total) = (new.failed, new.total());
        format!("{failed} of {total} calls failed at the new workers, and {old_percentage} % at the old workers")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(succeeded: u64, failed: u64) -> CallCounts {
        CallCounts { succeeded, failed }
    }

    #[test]
    fn a_higher_failure_rate_than_before_fails_the_canary() {
        assert_eq!(canary_failure(counts(95, 5), counts(95, 5)), None);
        assert_eq!(canary_failure(counts(50, 50), counts(45, 55)), None, "the increase is below the limit");
        let reason = canary_failure(counts(100, 0), counts(10, 10)).expect("half of the calls fail");
        assert_eq!(reason, "10 of 20 calls failed at the new workers, and 0 % at the old workers");
    }

    #[test]
    fn a_small_sample_does_not_fail_the_canary() {
        assert_eq!(canary_failure(counts(100, 0), counts(0, 9)), None);
        assert!(canary_failure(CallCounts::default(), counts(0, 10)).is_some());
    }
}
