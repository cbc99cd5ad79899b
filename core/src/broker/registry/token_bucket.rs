//! A limit of how many calls start in a second.

use std::time::Duration;

use crate::time::Time;

/// A token bucket: calls start at a rate, and after a pause as many at once as its burst.
#[derive(Clone, Debug)]
pub(super) struct TokenBucket {
    /// The time in which one token returns.
    interval: Duration,
    /// How long all tokens but one take to return.
    tolerance: Duration,
    /// When all tokens that were taken have returned.
    full_at: Time,
    /// When the next token returns, if none is left.
    opens_at: Option<Time>,
}

impl TokenBucket {
    /// Creates a full bucket. The rate must be above 0, and the burst at least 1.
    pub(super) fn new(per_second: f64, burst: u32) -> TokenBucket {
        let interval = Duration::from_secs_f64(1.0 / per_second);
        TokenBucket { interval, tolerance: interval * (burst - 1), full_at: Time::ZERO, opens_at: None }
    }

    /// Takes a token for a call that starts now.
    pub(super) fn take(&mut self, now: Time) {
        self.full_at = self.full_at.max(now) + self.interval;
        let wait = self.full_at.since(now).saturating_sub(self.tolerance);
        self.opens_at = Some(now + wait).filter(|_| !wait.is_zero());
    }

    /// Returns whether no call may start.
    pub(super) fn is_empty(&self) -> bool {
        self.opens_at.is_some()
    }

    /// Returns when a call may start again, if none may now.
    pub(super) fn opens_at(&self) -> Option<Time> {
        self.opens_at
    }

    /// Lets calls start again, if a token has returned.
    pub(super) fn refill(&mut self, now: Time) {
        self.opens_at = self.opens_at.filter(|&at| at > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_starts_at_once_and_then_one_call_in_each_interval() {
        let mut bucket = TokenBucket::new(10.0, 3);
        for _ in 0..2 {
            bucket.take(at(1_000));
            assert!(!bucket.is_empty());
        }
        bucket.take(at(1_000));
        assert_eq!(bucket.opens_at(), Some(at(1_100)));
        bucket.refill(at(1_099));
        assert!(bucket.is_empty());
        bucket.refill(at(1_100));
        assert!(!bucket.is_empty());
        bucket.take(at(1_100));
        assert_eq!(bucket.opens_at(), Some(at(1_200)), "one token has returned");
    }

    #[test]
    fn a_pause_earns_no_more_than_the_burst() {
        let mut bucket = TokenBucket::new(10.0, 2);
        bucket.take(at(100_000));
        bucket.take(at(100_000));
        assert_eq!(bucket.opens_at(), Some(at(100_100)));
    }
}
