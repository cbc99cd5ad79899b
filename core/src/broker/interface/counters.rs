//! The counters of the broker.

/// The counters of the broker since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counters {
    /// Requests that were accepted.
    pub calls: u64,
    /// Those of them that were casts.
    pub casts: u64,
    /// Calls that were answered with a result.
    pub answered: u64,
    /// Calls that were answered with a failure.
    pub failed: u64,
    /// Casts that failed.
    pub casts_failed: u64,
    /// Calls that were cancelled, or whose client was gone.
    pub cancelled: u64,
    /// Dispatches to workers.
    pub dispatches: u64,
    /// Calls that were retried after the loss of their worker.
    pub repeated: u64,
    /// Calls that became dead letters.
    #[serde(default)]
    pub buried: u64,
    /// Calls that were rejected because a queue was full, or its oldest calls had waited too long.
    #[serde(default)]
    pub queue_full: u64,
    /// Workers that were lost: they disconnected without a goodbye, or were disconnected.
    #[serde(default)]
    pub workers_lost: u64,
    /// Requests that arrived a second time.
    pub duplicates: u64,
    /// Messages about calls that their sender does not make or run (any more).
    pub stale: u64,
    /// Items that were forwarded, in either direction.
    #[serde(default)]
    pub items: u64,
    /// Streams that ended because a peer violated their rules.
    #[serde(default)]
    pub streams_broken: u64,
    /// Envelopes that could not be read, or were unexpected.
    pub refused: u64,
    /// Peers that were disconnected.
    pub sent_away: u64,
    /// Peers that could not be authenticated.
    pub unauthenticated: u64,
}

impl Counters {
    /// Returns how many envelopes had no effect: they were unreadable or repeated, or about calls that their sender does not make or run.
    pub(crate) fn without_effect(&self) -> u64 {
        self.refused + self.duplicates + self.stale
    }
}
