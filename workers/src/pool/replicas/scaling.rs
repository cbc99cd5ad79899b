//! Scaling: the pool grows and shrinks.

use std::{cmp::Reverse, collections::BTreeMap};

use callboard_core::time::Time;

use super::{
    change::ChangeError,
    event::Action,
    replica::{Replica, ReplicaId, ReplicaState},
    set::{Phase, ReplicaSet},
};

/// The number of calls that each process runs, by its name, as the broker counts them.
pub(in crate::pool) type RunningCalls = BTreeMap<String, u64>;

impl ReplicaSet {
    /// Returns the desired number of replicas, without the new ones of a rollout.
    pub(in crate::pool) fn size(&self) -> u32 {
        let counted = self.replicas.iter().filter(|(id, replica)| replica.is_desired() && !self.is_new(**id));
        counted.count() as u32
    }

    /// Scales the pool to `size` replicas. A pool that shrinks terminates replicas without a registered process first, then those
    /// that run the fewest calls; running calls are finished. A name that is not in `running` counts as idle.
    ///
    /// # Errors
    /// The size is out of bounds, a rollout is in progress, too many processes are terminating, or the pool is shutting down.
    pub(in crate::pool) fn scale(
        &mut self,
        now: Time,
        size: u32,
        running: &RunningCalls,
        out: &mut Vec<Action>,
    ) -> Result<(), ChangeError> {
        if self.phase != Phase::Serving {
            return Err(ChangeError::ShuttingDown);
        }
        let bounds = self.settings.bounds;
        if !bounds.contain(size) {
            return Err(ChangeError::Bounds { size, bounds });
        }
        if self.rollout.is_some() {
            return Err(ChangeError::RolloutInProgress);
        }
        let current = self.size();
        self.check_capacity(size.saturating_sub(current))?;
        for _ in current..size {
            self.add_replica(now, self.generation());
        }
        for id in self.least_busy(running, current.saturating_sub(size)) {
            self.terminate(now, id, now + self.settings.drain, out);
        }
        self.follow_up(now, out);
        Ok(())
    }

    /// Checks that `more` processes can be started. Terminating processes exit slowly, so an owner that scales up and down
    /// repeatedly must not accumulate more than twice the largest size.
    pub(super) fn check_capacity(&self, more: u32) -> Result<(), ChangeError> {
        let capacity = (2 * self.settings.bounds.max).saturating_sub(self.replicas.len() as u32);
        let terminating = self.replicas.values().filter(|replica| !replica.is_desired()).count() as u32;
        if more > capacity { Err(ChangeError::TooManyTerminating { terminating }) } else { Ok(()) }
    }

    /// Returns the `count` replicas that a shrinking pool terminates.
    fn least_busy(&self, running: &RunningCalls, count: u32) -> Vec<ReplicaId> {
        let rank = |(id, replica): (&ReplicaId, &Replica)| {
            let calls = running.get(&self.instance(*id, replica)).copied().unwrap_or(0);
            let registered = matches!(replica.state, ReplicaState::Registered { .. });
            // Among equals the youngest, which has the highest id.
            (registered, calls, replica.state.pid().is_some(), Reverse(*id))
        };
        let desired = self.replicas.iter().filter(|(_, replica)| replica.is_desired());
        let mut ranks: Vec<_> = desired.map(rank).collect();
        ranks.sort_unstable();
        ranks.into_iter().take(count as usize).map(|(.., Reverse(id))| id).collect()
    }

    /// Returns the generation of the serving replicas.
    pub(in crate::pool) fn generation(&self) -> u32 {
        let serving = self.replicas.iter().filter(|(id, replica)| replica.is_desired() && !self.is_new(**id));
        serving.map(|(_, replica)| replica.generation).max().unwrap_or(self.last_generation)
    }
}
