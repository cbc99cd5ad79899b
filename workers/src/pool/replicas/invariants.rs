//! The invariants that hold between events. Tests assert them after every step.

use std::collections::BTreeSet;

use super::{
    replica::{Replica, ReplicaState},
    set::{Phase, ReplicaSet},
};

impl ReplicaSet {
    /// Asserts the invariants.
    pub(super) fn assert_invariants(&self) {
        self.replicas.values().for_each(|replica| assert_replica(self.phase, replica));
        let states = || self.replicas.values().map(|replica| replica.state);
        match self.phase {
            Phase::Serving => assert!(self.size() > 0, "a serving pool has a replica"),
            Phase::Stopping => {
                let running = states().any(|state| state != ReplicaState::Stopped);
                assert!(running, "the pool finishes together with its last process");
            }
            Phase::Finished => assert!(states().all(|state| state == ReplicaState::Stopped)),
        }
        assert!(self.rollout.is_none() || self.phase == Phase::Serving, "a stopping pool has no rollout");
        assert!(
            self.replicas.len() as u32 <= 2 * self.settings.bounds.max,
            "terminating replicas are bounded by twice the largest size"
        );
        self.assert_rollout();
        // No two replicas share a process.
        let pids: Vec<_> = states().filter_map(|state| state.pid()).collect();
        let distinct: BTreeSet<_> = pids.iter().collect();
        assert_eq!(pids.len(), distinct.len());
    }

    /// Asserts that the new and the old replica of each replacement exist, and that the pool keeps both until the
    /// rollout ends.
    fn assert_rollout(&self) {
        let Some(rollout) = &self.rollout else { return };
        let desired = |id| self.replicas[&id].is_desired();
        assert!(rollout.new_replicas().all(desired) && rollout.old_replicas().all(desired));
        let distinct: BTreeSet<_> = rollout.old_replicas().collect();
        assert_eq!(distinct.len(), rollout.new_replicas().count(), "each old replica has one replacement");
    }
}

/// Asserts that a desired replica has a process, has requested one, or has a time for one, and that a terminating
/// replica was signalled and is killed once.
fn assert_replica(phase: Phase, replica: &Replica) {
    match replica.termination {
        None => {
            assert_eq!(phase, Phase::Serving, "a stopping pool terminates every process");
            assert!(!matches!(replica.state, ReplicaState::Draining { .. } | ReplicaState::Stopped));
        }
        Some(termination) => {
            assert!(matches!(
                replica.state,
                ReplicaState::Starting | ReplicaState::Draining { .. } | ReplicaState::Stopped
            ));
            assert!(!termination.killed || !matches!(replica.state, ReplicaState::Draining { exited: true, .. }));
            assert!(
                phase != Phase::Serving || replica.state != ReplicaState::Stopped,
                "a serving pool removes stopped replicas"
            );
        }
    }
}
