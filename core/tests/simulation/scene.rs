//! What every process of the world sees of it.

use std::time::Duration;

use callboard_core::time::Time;

use super::{
    chance::Chance,
    knobs::{Fault, Knobs, millis},
    ledger::{Ledger, Rules},
    network::{Host, Network},
    trace::Trace,
};

/// The slowest network on which nothing but calm may be expected of a calm world: workers must be there in the quiet time.
const CALM_DELAY_MAX: Duration = millis(20);

/// The world around a process.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) now: Time,
    pub(crate) chance: Chance,
    pub(crate) knobs: Knobs,
    pub(crate) network: Network,
    pub(crate) ledger: Ledger,
    pub(crate) trace: Trace,
    /// The number of the broker's present start.
    pub(crate) start: u64,
    /// Whether the world heals or has healed.
    pub(crate) healing: bool,
}

impl Scene {
    pub(crate) fn new(seed: u64, told: bool) -> Scene {
        let mut chance = Chance::new(seed);
        let knobs = Knobs::draw(&mut chance);
        let in_time = knobs.keeps_time() && knobs.keeps_moving();
        let rules = Rules {
            calm: knobs.is_calm() && knobs.delay <= CALM_DELAY_MAX,
            punctual: knobs.keeps_time(),
            stops: knobs.faults.contains(&Fault::BrokerShutdown),
            // To the broker and on to the worker; each hop rounds up to milliseconds.
            late_max: in_time.then(|| (knobs.delay + knobs.lag + millis(1)) * 2),
        };
        Scene {
            now: Time::ZERO,
            chance,
            knobs,
            network: Network::default(),
            ledger: Ledger::new(rules),
            trace: Trace::new(told),
            start: 0,
            healing: false,
        }
    }

    /// When what is sent now arrives.
    pub(crate) fn arrival(&mut self) -> Time {
        self.now + self.chance.span(self.knobs.delay)
    }

    /// When a process that gets input now handles it, at the latest.
    pub(crate) fn handled(&mut self) -> Time {
        self.now + self.chance.span(self.knobs.lag)
    }

    /// How much of what the other side has not read the end of a connection takes with it.
    pub(crate) fn lost_at_close(&mut self) -> usize {
        if self.chance.percent(self.knobs.reset_percent) { self.chance.place(8) } else { 0 }
    }

    pub(crate) fn note(&mut self, who: Host, line: impl FnOnce() -> String) {
        self.trace.note(self.now, who, line);
    }
}
