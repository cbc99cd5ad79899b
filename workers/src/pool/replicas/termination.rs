//! Termination of replicas: of one, or of all when the pool shuts down.

use callboard_core::time::Time;

use super::{
    event::{Action, TerminationSignal},
    replica::{Replica, ReplicaId, ReplicaState, Termination},
    set::{Phase, ReplicaSet},
};

impl ReplicaSet {
    /// Terminates a replica's process, and kills it at the deadline. A second call can only shorten the time.
    pub(super) fn terminate(&mut self, now: Time, id: ReplicaId, deadline: Time, out: &mut Vec<Action>) {
        let replica = self.replica(id);
        if let Some(termination) = &mut replica.termination {
            termination.deadline = termination.deadline.min(deadline);
            return;
        }
        replica.termination = Some(Termination { deadline, killed: false });
        match (replica.state, replica.state.pid()) {
            (ReplicaState::Backoff { .. }, _) => self.set_stopped(id),
            (_, Some(pid)) => {
                replica.state = ReplicaState::Draining { pid, exited: false };
                // Without drain time there is no SIGTERM: the deadline check of this turn sends SIGKILL.
                let signal = Action::Signal { replica: id, signal: TerminationSignal::Term };
                out.extend((deadline > now).then_some(signal));
            }
            (_, None) => {} // starting: signalled when it has been spawned
        }
    }

    /// Records that the replica has no process and gets no other.
    pub(super) fn set_stopped(&mut self, id: ReplicaId) {
        match self.phase {
            Phase::Serving => drop(self.replicas.remove(&id)),
            Phase::Stopping | Phase::Finished => self.replica(id).state = ReplicaState::Stopped,
        }
    }

    /// Reaps a replica whose process and process group have ended. If the deadline came before this event, the replica is already
    /// reaped and the event has no effect.
    pub(super) fn on_group_empty(&mut self, id: ReplicaId, out: &mut Vec<Action>) {
        let exited = |replica: &Replica| matches!(replica.state, ReplicaState::Draining { exited: true, .. });
        if self.replicas.get(&id).is_some_and(exited) {
            self.set_stopped(id);
            out.push(Action::Reap { replica: id });
        }
    }

    pub(super) fn on_shutdown(&mut self, now: Time, deadline: Time, out: &mut Vec<Action>) {
        if self.phase == Phase::Finished {
            return;
        }
        self.phase = Phase::Stopping;
        self.rollout = None;
        for id in self.replicas.keys().copied().collect::<Vec<_>>() {
            self.terminate(now, id, deadline, out);
        }
    }

    /// Kills the replicas whose termination deadline has passed.
    pub(super) fn kill_overdue(&mut self, now: Time, out: &mut Vec<Action>) {
        let overdue = |replica: &Replica| {
            replica.termination.is_some_and(|termination| !termination.killed && termination.deadline <= now)
        };
        let overdue: Vec<_> = self.replicas.iter().filter(|(_, replica)| overdue(replica)).map(|(&id, _)| id).collect();
        for id in overdue {
            let replica = self.replica(id);
            replica.termination.iter_mut().for_each(|termination| termination.killed = true);
            match replica.state {
                ReplicaState::Draining { exited: false, .. } => {
                    out.push(Action::Signal { replica: id, signal: TerminationSignal::Kill });
                }
                ReplicaState::Draining { exited: true, .. } => self.on_group_empty(id, out),
                _ => {}
            }
        }
    }

    /// Reports the end of the pool once no process is left.
    pub(super) fn finish_if_stopped(&mut self, out: &mut Vec<Action>) {
        let stopping = self.phase == Phase::Stopping;
        if stopping && self.replicas.values().all(|replica| replica.state == ReplicaState::Stopped) {
            self.phase = Phase::Finished;
            out.push(Action::Finished);
        }
    }
}
