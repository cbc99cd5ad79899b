//! The context of a simulation: what all its processes share.

use std::{collections::BTreeMap, time::Duration};

use callboard_core::{
    time::Time,
    wire::{envelope::Credit, ids::ConnectionId},
};

use super::{
    config::{Config, Fault, SMALL_REPLY_CACHE_BYTES, millis},
    keys::Keys,
    ledger::{Ledger, Rules},
    network::{Host, Network},
    rights::Peers,
    rng::Rng,
    trace::Trace,
};

/// The longest network delay of a fault-free world: its workers must register within the quiet time.
const FAULT_FREE_DELAY_MAX: Duration = millis(20);

/// The credit that was used and granted again on one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CreditUse {
    calls_used: u64,
    bytes_used: u64,
    calls_granted: u64,
    bytes_granted: u64,
}

/// The state that all processes of a world share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) now: Time,
    pub(crate) rng: Rng,
    pub(crate) config: Config,
    pub(crate) network: Network,
    pub(crate) ledger: Ledger,
    pub(crate) keys: Keys,
    pub(crate) peers: Peers,
    pub(crate) trace: Trace,
    /// The credit that was used and granted again on each connection of a client.
    pub(crate) credit: BTreeMap<ConnectionId, CreditUse>,
    /// Whether the credit can be counted in this world.
    counts_credit: bool,
    /// The number of the current broker start.
    pub(crate) start: u64,
    /// Whether the faults have ended.
    pub(crate) healing: bool,
}

impl Context {
    pub(crate) fn new(seed: u64, verbose: bool) -> Context {
        let mut rng = Rng::new(seed);
        let config = Config::draw(&mut rng);
        let counts_credit = config.counts_credit();
        let is_timely = config.clocks_agree() && config.delays_are_bounded();
        let evicts_replies = config.outcomes_bytes == SMALL_REPLY_CACHE_BYTES;
        let rules = Rules {
            fault_free: config.is_fault_free() && config.delay <= FAULT_FREE_DELAY_MAX,
            clocks_agree: config.clocks_agree(),
            hard: config.hard_ms.map(millis),
            evicts_replies,
            operated: config.operated,
            stops: config.faults.contains(&Fault::BrokerShutdown),
            // One hop to the broker and one to the worker; each hop rounds up to milliseconds.
            late_max: is_timely.then(|| (config.delay + config.lag + millis(1)) * 2),
        };
        let peers = Peers::of(&config, &mut rng);
        Context {
            now: Time::ZERO,
            rng,
            config,
            network: Network::default(),
            ledger: Ledger::new(rules),
            keys: Keys::of(evicts_replies),
            peers,
            trace: Trace::new(verbose),
            credit: BTreeMap::new(),
            counts_credit,
            start: 0,
            healing: false,
        }
    }

    /// Returns when a packet sent now arrives.
    pub(crate) fn arrival(&mut self) -> Time {
        self.now + self.rng.span(self.config.delay)
    }

    /// Returns when a process handles input that arrives now, at the latest.
    pub(crate) fn handled(&mut self) -> Time {
        self.now + self.rng.span(self.config.lag)
    }

    /// Returns the rate-limit key of a peer, which also names its tenant.
    pub(crate) fn rate_limit_key(&self, peer: Host) -> String {
        if self.config.one_tenant { "all peers".to_owned() } else { peer.to_string() }
    }

    /// Returns how many unread messages a closed connection loses.
    pub(crate) fn lost_at_close(&mut self) -> usize {
        if self.rng.percent(self.config.reset_percent) { self.rng.index(8) } else { 0 }
    }

    /// Records that a client used credit for a call on a connection.
    pub(crate) fn credit_used(&mut self, connection: Option<ConnectionId>, bytes: usize) {
        let Some(connection) = connection else { return };
        let credit = self.credit.entry(connection).or_default();
        credit.calls_used += 1;
        credit.bytes_used += bytes as u64;
    }

    /// Records that the broker granted credit on a connection. It may grant only credit that was used on it.
    pub(crate) fn credit_granted(&mut self, connection: ConnectionId, granted: Credit) {
        let credit = self.credit.entry(connection).or_default();
        credit.calls_granted += u64::from(granted.calls);
        credit.bytes_granted += granted.bytes;
        let is_valid = credit.calls_granted <= credit.calls_used && credit.bytes_granted <= credit.bytes_used;
        assert!(
            is_valid || !self.counts_credit,
            "connection {connection} is granted more credit than it used: {credit:?}"
        );
    }

    pub(crate) fn note(&mut self, who: Host, line: impl FnOnce() -> String) {
        self.trace.note(self.now, who, line);
    }
}
