//! The retry budget of a service: retries after the loss of a worker are bounded by a share of all calls.
//!
//! Without a budget a fault that kills workers would amplify itself: each loss sends calls again, to fewer and busier workers, which
//! are lost in turn. The budget is a token bucket: each call adds a part of a token, each retry takes one.

use super::super::interface::Settings;
use crate::time::Time;

/// Parts of a token: fine enough that the floor is a whole number of parts per microsecond, the machine's unit of time.
const TOKEN: u64 = 1_000_000;

/// The tokens of one service.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    /// In millionths.
    tokens: u64,
    /// Until when the floor has been added.
    refilled_until: Time,
}

impl RetryBudget {
    /// Creates a full budget.
    pub(crate) fn new(now: Time, settings: &Settings) -> RetryBudget {
        RetryBudget { tokens: most(settings), refilled_until: now }
    }

    /// Adds the share of a call that is dispatched for the first time.
    pub(crate) fn add_call(&mut self, settings: &Settings) {
        self.add(u64::from(settings.retry_percent) * TOKEN / 100, settings);
    }

    /// Takes a token for a retry. Returns false if there is none.
    #[must_use]
    pub(crate) fn take(&mut self, now: Time, settings: &Settings) -> bool {
        let floor = now.since(self.refilled_until).as_micros() * u128::from(settings.retry_floor);
        self.add(u64::try_from(floor).unwrap_or(u64::MAX), settings);
        self.refilled_until = now;
        let enough = self.tokens >= TOKEN;
        self.tokens -= if enough { TOKEN } else { 0 };
        enough
    }

    fn add(&mut self, parts: u64, settings: &Settings) {
        self.tokens = self.tokens.saturating_add(parts).min(most(settings));
    }
}

fn most(settings: &Settings) -> u64 {
    u64::from(settings.retry_burst) * TOKEN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings { retry_percent: 10, retry_floor: 2, retry_burst: 5, ..Settings::default() }
    }

    fn taken(retries: &mut RetryBudget, now: u64) -> usize {
        (0..100).filter(|_| retries.take(Time::from_micros(now), &settings())).count()
    }

    #[test]
    fn a_burst_is_allowed_and_then_a_share_of_the_calls() {
        let mut retries = RetryBudget::new(Time::ZERO, &settings());
        assert_eq!(taken(&mut retries, 0), 5);
        (0..30).for_each(|_| retries.add_call(&settings()));
        assert_eq!(taken(&mut retries, 0), 3);
    }

    #[test]
    fn a_rarely_called_service_has_a_few_retries_per_second() {
        let mut retries = RetryBudget::new(Time::ZERO, &settings());
        taken(&mut retries, 0);
        assert_eq!(taken(&mut retries, 2_000_000), 4);
        assert_eq!(taken(&mut retries, 600_000_000), 5, "the budget is bounded");
    }
    #[test]
    fn retries_in_quick_succession_share_the_same_floor() {
        let mut retries = RetryBudget::new(Time::ZERO, &settings());
        taken(&mut retries, 0);
        let asked = (1..=20_000).map(|step| Time::from_micros(step * 100));
        assert_eq!(asked.filter(|&now| retries.take(now, &settings())).count(), 4);
    }
}
