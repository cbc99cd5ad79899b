//! The retry budget of a service: what may be sent again after the loss of a worker is bounded by a share of what is called.
//!
//! Without it a fault that kills workers would be fed by its own consequences: each loss sends calls again, to workers that are
//! fewer and busier, and are lost in turn. It is a token bucket: each call pays a part of a token in, each retry takes one out.

use super::Settings;
use crate::time::Time;

/// Parts of a token: so fine that the floor has whole parts in every microsecond, the machine's unit of time.
const TOKEN: u64 = 1_000_000;

/// The tokens of one service.
#[derive(Debug)]
pub(super) struct Retries {
    /// In millionths.
    tokens: u64,
    /// Up to when the floor has been paid in.
    paid_until: Time,
}

impl Retries {
    /// A full bucket.
    pub(super) fn new(now: Time, settings: &Settings) -> Retries {
        Retries { tokens: most(settings), paid_until: now }
    }

    /// A call is sent to a worker for the first time.
    pub(super) fn called(&mut self, settings: &Settings) {
        self.pay(u64::from(settings.retry_percent) * TOKEN / 100, settings);
    }

    /// A call is to be sent again. False if there is no token for that.
    #[must_use]
    pub(super) fn take(&mut self, now: Time, settings: &Settings) -> bool {
        let floor = now.since(self.paid_until).as_micros() * u128::from(settings.retry_floor);
        self.pay(u64::try_from(floor).unwrap_or(u64::MAX), settings);
        self.paid_until = now;
        let enough = self.tokens >= TOKEN;
        self.tokens -= if enough { TOKEN } else { 0 };
        enough
    }

    fn pay(&mut self, parts: u64, settings: &Settings) {
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

    fn taken(retries: &mut Retries, now: u64) -> usize {
        (0..100).filter(|_| retries.take(Time::from_micros(now), &settings())).count()
    }

    #[test]
    fn a_burst_is_borne_and_then_a_share_of_the_calls() {
        let mut retries = Retries::new(Time::ZERO, &settings());
        assert_eq!(taken(&mut retries, 0), 5);
        (0..30).for_each(|_| retries.called(&settings()));
        assert_eq!(taken(&mut retries, 0), 3);
    }

    #[test]
    fn a_service_that_is_rarely_called_has_a_few_a_second() {
        let mut retries = Retries::new(Time::ZERO, &settings());
        taken(&mut retries, 0);
        assert_eq!(taken(&mut retries, 2_000_000), 4);
        assert_eq!(taken(&mut retries, 600_000_000), 5, "what is saved up is bounded");
    }
    #[test]
    fn retries_that_are_asked_for_in_quick_succession_have_the_same_few_a_second() {
        let mut retries = Retries::new(Time::ZERO, &settings());
        taken(&mut retries, 0);
        let asked = (1..=20_000).map(|step| Time::from_micros(step * 100));
        assert_eq!(asked.filter(|&now| retries.take(now, &settings())).count(), 4);
    }
}
