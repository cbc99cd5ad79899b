//! The state of one rollout: which new replicas replace which old ones, and until when.

use std::{collections::BTreeMap, time::Duration};

use callboard_core::time::Time;

use super::{
    change::{RolloutId, RolloutProgress},
    replica::ReplicaId,
};

/// A rollout in progress.
#[derive(Clone, Debug)]
pub(super) struct Rollout {
    pub(super) id: RolloutId,
    /// Each new replica, with the old one that it replaces.
    replacements: BTreeMap<ReplicaId, ReplicaId>,
    /// How long the new replicas serve beside the old ones.
    canary_period: Duration,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Some new replicas are not registered. The rollout fails at this time.
    Starting { until: Time },
    /// All new replicas are registered and serve beside the old ones.
    Canary { until: Time },
}

impl Rollout {
    /// Creates a rollout whose new replicas must be registered before `start_deadline`.
    pub(super) fn new(
        id: RolloutId,
        replacements: BTreeMap<ReplicaId, ReplicaId>,
        canary_period: Duration,
        start_deadline: Time,
    ) -> Rollout {
        Rollout { id, replacements, canary_period, stage: Stage::Starting { until: start_deadline } }
    }

    /// Returns when the current stage ends.
    pub(super) fn deadline(&self) -> Time {
        match self.stage {
            Stage::Starting { until } | Stage::Canary { until } => until,
        }
    }

    pub(super) fn is_in_canary(&self) -> bool {
        matches!(self.stage, Stage::Canary { .. })
    }

    pub(super) fn progress(&self) -> RolloutProgress {
        RolloutProgress { id: self.id, canary: self.is_in_canary() }
    }

    /// Starts the canary period, once.
    pub(super) fn start_canary(&mut self, now: Time) {
        if !self.is_in_canary() {
            self.stage = Stage::Canary { until: now + self.canary_period };
        }
    }

    /// Returns whether a replica is one of the new ones.
    pub(super) fn is_new(&self, replica: ReplicaId) -> bool {
        self.replacements.contains_key(&replica)
    }

    pub(super) fn new_replicas(&self) -> impl Iterator<Item = ReplicaId> {
        self.replacements.keys().copied()
    }

    pub(super) fn old_replicas(&self) -> impl Iterator<Item = ReplicaId> {
        self.replacements.values().copied()
    }
}
