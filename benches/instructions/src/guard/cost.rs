//! The cost of a path.

/// A path may cost this much more than in the baseline.
const TOLERANCE: f64 = 1.05;
/// The allocations per call that are not compared: a table that grows now and then.
const RARE_ALLOCATIONS: f64 = 0.02;

/// The cost of a path, of all counted runs or of one call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cost {
    pub(super) instructions: f64,
    /// Calls of the allocator that return memory, moved memory included.
    pub(super) allocations: f64,
}

impl Cost {
    /// Returns the cost of one of so many calls.
    pub(super) fn per_call(self, calls: usize) -> Cost {
        let calls = calls as f64;
        Cost { instructions: self.instructions / calls, allocations: self.allocations / calls }
    }

    /// Returns whether this is more than the tolerance allows.
    pub(super) fn exceeds(&self, before: &Cost) -> bool {
        self.instructions > before.instructions * TOLERANCE
            || self.allocations > before.allocations * TOLERANCE + RARE_ALLOCATIONS
    }

    /// Returns the change of the instructions as a text, such as `+1.3 %`.
    pub(super) fn change(&self, before: &Cost) -> String {
        format!("{:+.1} %", (self.instructions / before.instructions - 1.0) * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_percent_more_instructions_are_accepted_and_one_more_allocation_is_not() {
        let before = Cost { instructions: 1_000.0, allocations: 2.0 };
        assert!(!Cost { instructions: 1_049.0, ..before }.exceeds(&before));
        assert!(Cost { instructions: 1_051.0, ..before }.exceeds(&before));
        assert!(!Cost { allocations: 2.1, ..before }.exceeds(&before));
        assert!(Cost { allocations: 3.0, ..before }.exceeds(&before));
        assert_eq!(Cost { instructions: 987.0, ..before }.change(&before), "-1.3 %");
    }
}
