//! Rolling replacement: new processes start first, and the old ones terminate when all new ones serve.
//!
//! The pool rolls back, and keeps the old processes, in three cases: a new process exits before the rollout is complete, the new
//! processes are not all registered in time, or the owner finds that they fail more calls than the old ones.

use std::time::Duration;

use callboard_core::{text::HumanDuration, time::Time};

use super::{
    change::{ChangeError, RolloutId, RolloutOutcome},
    event::Action,
    replica::{ReplicaId, ReplicaState},
    rollout::Rollout,
    set::{Phase, ReplicaSet},
};
use crate::pool::process::Exit;

impl ReplicaSet {
    /// Starts a rollout of all replicas: a new generation, which serves beside the old one for the canary period.
    ///
    /// # Errors
    /// Another rollout is in progress, too many processes are terminating, or the pool is shutting down.
    pub(in crate::pool) fn reload(&mut self, now: Time, out: &mut Vec<Action>) -> Result<RolloutId, ChangeError> {
        let desired = self.replicas.iter().filter(|(_, replica)| replica.is_desired());
        let old: Vec<_> = desired.map(|(&id, _)| id).collect();
        self.check_can_roll_out(old.len() as u32)?;
        self.last_generation += 1;
        Ok(self.start_rollout(now, &old, self.last_generation, self.settings.canary_period, out))
    }

    /// Starts a rollout of one replica, without a canary period.
    ///
    /// # Errors
    /// No process of this name runs; otherwise as [`ReplicaSet::reload`].
    pub(in crate::pool) fn replace(
        &mut self,
        now: Time,
        instance: &str,
        out: &mut Vec<Action>,
    ) -> Result<RolloutId, ChangeError> {
        self.check_can_roll_out(1)?;
        let mut running =
            self.replicas.iter().filter(|(_, replica)| replica.is_desired() && replica.state.pid().is_some());
        let Some((&old, replica)) = running.find(|(id, replica)| self.instance(**id, replica) == instance) else {
            return Err(ChangeError::NoSuchWorker { instance: instance.to_owned() });
        };
        let generation = replica.generation;
        Ok(self.start_rollout(now, &[old], generation, Duration::ZERO, out))
    }

    fn check_can_roll_out(&self, new_replicas: u32) -> Result<(), ChangeError> {
        if self.phase != Phase::Serving {
            return Err(ChangeError::ShuttingDown);
        }
        if self.rollout.is_some() {
            return Err(ChangeError::RolloutInProgress);
        }
        self.check_capacity(new_replicas)
    }

    fn start_rollout(
        &mut self,
        now: Time,
        old: &[ReplicaId],
        generation: u32,
        canary_period: Duration,
        out: &mut Vec<Action>,
    ) -> RolloutId {
        let replacements = old.iter().map(|&old| (self.add_replica(now, generation), old)).collect();
        self.last_rollout += 1;
        let id = RolloutId(self.last_rollout);
        self.rollout = Some(Rollout::new(id, replacements, canary_period, now + self.settings.startup_timeout));
        self.follow_up(now, out);
        id
    }

    /// Returns whether a replica is one of the new ones of the current rollout.
    pub(super) fn is_new(&self, id: ReplicaId) -> bool {
        self.rollout.as_ref().is_some_and(|rollout| rollout.is_new(id))
    }

    /// Starts the canary period if all new processes are registered.
    pub(super) fn start_canary_if_registered(&mut self, now: Time) {
        let registered = |id| matches!(self.replicas[&id].state, ReplicaState::Registered { .. });
        if let Some(rollout) = &mut self.rollout
            && rollout.new_replicas().all(registered)
        {
            rollout.start_canary(now);
        }
    }

    /// Completes a rollout whose canary period is over, and rolls back one whose new processes are late.
    pub(super) fn end_rollout_at_deadline(&mut self, now: Time, out: &mut Vec<Action>) {
        let Some(rollout) = self.rollout.as_ref().filter(|rollout| rollout.deadline() <= now) else { return };
        if rollout.is_in_canary() {
            self.complete_rollout(now, out);
        } else {
            let limit = HumanDuration(self.settings.startup_timeout);
            self.roll_back(now, format!("not all new workers were registered within {limit}"), None, out);
        }
    }

    /// Rolls back because a new process has exited.
    pub(super) fn on_new_replica_exited(&mut self, now: Time, id: ReplicaId, exit: &Exit, out: &mut Vec<Action>) {
        let instance = self.instance(id, &self.replicas[&id]);
        self.replica(id).state = ReplicaState::Backoff { until: now };
        self.roll_back(now, format!("the new worker {instance} exited: {exit}"), Some(id), out);
    }

    /// Rolls back at the owner's request. A request for an earlier rollout has no effect.
    pub(super) fn on_roll_back(&mut self, now: Time, id: RolloutId, reason: String, out: &mut Vec<Action>) {
        if self.rollout.as_ref().is_some_and(|rollout| rollout.id == id) {
            self.roll_back(now, reason, None, out);
        }
    }

    fn complete_rollout(&mut self, now: Time, out: &mut Vec<Action>) {
        let Some(rollout) = self.rollout.take() else { return };
        for old in rollout.old_replicas() {
            self.terminate(now, old, now + self.settings.drain, out);
        }
        let outcome = RolloutOutcome { id: rollout.id, rolled_back: None };
        out.push(Action::RolloutFinished { outcome, replica: None });
    }

    fn roll_back(&mut self, now: Time, reason: String, replica: Option<ReplicaId>, out: &mut Vec<Action>) {
        let Some(rollout) = self.rollout.take() else { return };
        for new in rollout.new_replicas() {
            self.terminate(now, new, now + self.settings.drain, out);
        }
        let outcome = RolloutOutcome { id: rollout.id, rolled_back: Some(reason) };
        out.push(Action::RolloutFinished { outcome, replica });
    }
}
