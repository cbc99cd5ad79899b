//! What every process of the world sees of it.

use std::{collections::BTreeMap, time::Duration};

use callboard_core::{
    time::Time,
    wire::{envelope::Credit, ids::ConnectionId},
};

use super::{
    chance::Chance,
    keys::Keys,
    knobs::{FORGETFUL_BYTES, Fault, Knobs, millis},
    ledger::{Ledger, Rules},
    network::{Host, Network},
    trace::Trace,
};

/// The slowest network on which nothing but calm may be expected of a calm world: workers must be there in the quiet time.
const CALM_DELAY_MAX: Duration = millis(20);

/// What was used and granted again on one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CreditUse {
    calls_used: u64,
    bytes_used: u64,
    calls_granted: u64,
    bytes_granted: u64,
}

/// The world around a process.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) now: Time,
    pub(crate) chance: Chance,
    pub(crate) knobs: Knobs,
    pub(crate) network: Network,
    pub(crate) ledger: Ledger,
    pub(crate) keys: Keys,
    pub(crate) trace: Trace,
    /// The credit that was used and granted again on each connection of a client.
    pub(crate) credit: BTreeMap<ConnectionId, CreditUse>,
    /// Whether that can be counted in this world.
    counts_credit: bool,
    /// The number of the broker's present start.
    pub(crate) start: u64,
    /// Whether the world heals or has healed.
    pub(crate) healing: bool,
}

impl Scene {
    pub(crate) fn new(seed: u64, told: bool) -> Scene {
        let mut chance = Chance::new(seed);
        let knobs = Knobs::draw(&mut chance);
        let counts_credit = knobs.counts_credit();
        let in_time = knobs.keeps_time() && knobs.keeps_moving();
        let forgetful = knobs.outcomes_bytes == FORGETFUL_BYTES;
        let rules = Rules {
            calm: knobs.is_calm() && knobs.delay <= CALM_DELAY_MAX,
            punctual: knobs.keeps_time(),
            hard: knobs.hard_ms.map(millis),
            forgetful,
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
            keys: Keys::of(forgetful),
            trace: Trace::new(told),
            credit: BTreeMap::new(),
            counts_credit,
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

    /// Whom a peer's connection is counted for.
    pub(crate) fn origin(&self, peer: Host) -> String {
        if self.knobs.one_origin { "all of them".to_owned() } else { peer.to_string() }
    }

    /// How much of what the other endpoint has not read the end of a connection takes with it.
    pub(crate) fn lost_at_close(&mut self) -> usize {
        if self.chance.percent(self.knobs.reset_percent) { self.chance.place(8) } else { 0 }
    }

    /// A client sends a call on a connection, and pays for it.
    pub(crate) fn credit_used(&mut self, connection: Option<ConnectionId>, bytes: usize) {
        let Some(connection) = connection else { return };
        let credit = self.credit.entry(connection).or_default();
        credit.calls_used += 1;
        credit.bytes_used += bytes as u64;
    }

    /// The broker grants credit on a connection: only what was used on it before.
    pub(crate) fn credit_granted(&mut self, connection: ConnectionId, granted: Credit) {
        let credit = self.credit.entry(connection).or_default();
        credit.calls_granted += u64::from(granted.calls);
        credit.bytes_granted += granted.bytes;
        let kept = credit.calls_granted <= credit.calls_used && credit.bytes_granted <= credit.bytes_used;
        assert!(kept || !self.counts_credit, "more is granted on connection {connection} than was used: {credit:?}");
    }

    pub(crate) fn note(&mut self, who: Host, line: impl FnOnce() -> String) {
        self.trace.note(self.now, who, line);
    }
}
