//! The replica set itself: its state, and what it does when a process starts, exits or registers.

use std::{collections::BTreeMap, time::Duration};

use callboard_core::time::Time;

use super::{
    change::{Bounds, RolloutProgress},
    event::{Action, Event, TerminationSignal},
    replica::{Replica, ReplicaId, ReplicaState, instance_name},
    restart_backoff::{CRASH_LOOP_EXITS, CRASH_LOOP_WINDOW, CrashLoop, Decision},
    rollout::Rollout,
};
use crate::pool::process::Exit;

/// The settings of the replica set.
#[derive(Clone, Debug)]
pub(in crate::pool) struct SupervisionSettings {
    /// The pool's name.
    pub(in crate::pool) name: String,
    /// The sizes that the pool accepts.
    pub(in crate::pool) bounds: Bounds,
    /// How long a process has to exit after SIGTERM.
    pub(in crate::pool) drain: Duration,
    /// How long new processes have to register before a rollout is rolled back.
    pub(in crate::pool) startup_timeout: Duration,
    /// How long the new processes of a reload serve beside the old ones before the pool terminates the old ones.
    pub(in crate::pool) canary_period: Duration,
}

/// The state of the whole pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Every desired replica has a process, or gets one.
    Serving,
    /// Every process is terminating.
    Stopping,
    /// No process is left.
    Finished,
}

/// The public view of one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pool) struct ReplicaView {
    pub(in crate::pool) id: ReplicaId,
    /// The name of its current or next process.
    pub(in crate::pool) instance: String,
    pub(in crate::pool) restarts: u32,
    pub(in crate::pool) generation: u32,
    pub(in crate::pool) state: ReplicaState,
    pub(in crate::pool) crash_looping: bool,
    pub(in crate::pool) last_exit: Option<Exit>,
    /// When its next process starts, if it waits for that.
    pub(in crate::pool) next_start: Option<Time>,
}

/// The state machine that supervises the processes of a pool.
#[derive(Clone, Debug)]
pub(in crate::pool) struct ReplicaSet {
    pub(super) settings: SupervisionSettings,
    pub(super) replicas: BTreeMap<ReplicaId, Replica>,
    /// The highest replica id in use.
    last_replica: u32,
    /// The number of reloads, counting those that were rolled back.
    pub(super) last_generation: u32,
    pub(super) last_rollout: u32,
    pub(super) rollout: Option<Rollout>,
    pub(super) phase: Phase,
    ready_reported: bool,
}

impl ReplicaSet {
    /// Creates `size` replicas whose first processes are due at `now`. The caller sends [`Event::Timeout`] to start them.
    pub(in crate::pool) fn new(settings: SupervisionSettings, size: u32, now: Time) -> ReplicaSet {
        let mut set = ReplicaSet {
            settings,
            replicas: BTreeMap::new(),
            last_replica: 0,
            last_generation: 1,
            last_rollout: 0,
            rollout: None,
            phase: Phase::Serving,
            ready_reported: false,
        };
        for _ in 0..size {
            set.add_replica(now, 1);
        }
        set
    }

    /// Handles an event and appends the resulting actions. `random` is uniform over its whole range, and new for each event.
    ///
    /// # Panics
    /// If the event contradicts an earlier action (for example, an exit of a replica without a process): a bug in the driver.
    pub(in crate::pool) fn handle_event(&mut self, now: Time, event: Event, random: u32, out: &mut Vec<Action>) {
        match event {
            Event::Timeout => {}
            Event::Spawned { replica, pid } => self.on_spawned(now, replica, pid, out),
            Event::SpawnFailed { replica, error } => self.on_spawn_failed(now, replica, error, random, out),
            Event::Exited { replica, exit, group_empty } => {
                self.on_exited(now, replica, exit, group_empty, random, out);
            }
            Event::GroupEmpty { replica } => self.on_group_empty(replica, out),
            Event::Registered { instance } => self.on_registered(now, &instance, out),
            Event::RollBack { rollout, reason } => self.on_roll_back(now, rollout, reason, out),
            Event::Shutdown { deadline } => self.on_shutdown(now, deadline, out),
        }
        self.follow_up(now, out);
    }

    /// Performs what follows every event and every requested change.
    pub(super) fn follow_up(&mut self, now: Time, out: &mut Vec<Action>) {
        self.end_rollout_at_deadline(now, out);
        self.start_due(now, out);
        self.kill_overdue(now, out);
        self.finish_if_stopped(out);
    }

    /// Returns when the driver must send [`Event::Timeout`].
    pub(in crate::pool) fn poll_timeout(&self) -> Option<Time> {
        let not_stopped = self.replicas.values().filter(|replica| replica.state != ReplicaState::Stopped);
        let terminations = not_stopped.filter_map(|replica| replica.termination);
        let kills = terminations.filter(|termination| !termination.killed).map(|termination| termination.deadline);
        let starts = self.replicas.values().filter_map(Replica::next_start);
        kills.chain(starts).chain(self.rollout.as_ref().map(Rollout::deadline)).min()
    }

    /// Returns a view of every replica, in the order of their ids.
    pub(in crate::pool) fn view(&self) -> impl Iterator<Item = ReplicaView> {
        self.replicas.iter().map(|(&id, replica)| ReplicaView {
            id,
            instance: self.instance(id, replica),
            restarts: replica.restart,
            generation: replica.generation,
            state: replica.state,
            crash_looping: replica.backoff.is_crash_looping(),
            last_exit: replica.last_exit.clone(),
            next_start: replica.next_start(),
        })
    }

    pub(in crate::pool) fn bounds(&self) -> Bounds {
        self.settings.bounds
    }

    /// Returns the rollout in progress, if any.
    pub(in crate::pool) fn rollout(&self) -> Option<RolloutProgress> {
        self.rollout.as_ref().map(Rollout::progress)
    }

    /// Returns whether the replica exists.
    pub(in crate::pool) fn contains(&self, replica: ReplicaId) -> bool {
        self.replicas.contains_key(&replica)
    }

    pub(super) fn add_replica(&mut self, now: Time, generation: u32) -> ReplicaId {
        self.last_replica += 1;
        let id = ReplicaId(self.last_replica);
        self.replicas.insert(id, Replica::new(now, generation));
        id
    }

    pub(super) fn instance(&self, id: ReplicaId, replica: &Replica) -> String {
        instance_name(&self.settings.name, id, replica.restart)
    }

    pub(super) fn replica(&mut self, id: ReplicaId) -> &mut Replica {
        self.replicas.get_mut(&id).expect("the driver names only replicas from earlier actions")
    }

    fn on_spawned(&mut self, now: Time, id: ReplicaId, pid: u32, out: &mut Vec<Action>) {
        let replica = self.replica(id);
        assert_eq!(replica.state, ReplicaState::Starting, "the driver spawns only requested processes");
        match replica.termination {
            None => replica.state = ReplicaState::Running { pid, since: now },
            Some(termination) => {
                replica.state = ReplicaState::Draining { pid, exited: false };
                let signal = if termination.killed { TerminationSignal::Kill } else { TerminationSignal::Term };
                out.push(Action::Signal { replica: id, signal });
            }
        }
    }

    fn on_spawn_failed(&mut self, now: Time, id: ReplicaId, error: String, random: u32, out: &mut Vec<Action>) {
        assert_eq!(self.replica(id).state, ReplicaState::Starting, "the driver spawns only requested processes");
        self.on_unexpected_exit(now, id, Exit::NotStarted(error), Duration::ZERO, random, out);
    }

    fn on_exited(
        &mut self,
        now: Time,
        id: ReplicaId,
        exit: Exit,
        group_empty: bool,
        random: u32,
        out: &mut Vec<Action>,
    ) {
        let replica = self.replica(id);
        match replica.state {
            ReplicaState::Running { since, .. } | ReplicaState::Registered { since, .. } => {
                out.push(Action::Reap { replica: id });
                self.on_unexpected_exit(now, id, exit, now.since(since), random, out);
            }
            ReplicaState::Draining { pid, exited: false } => {
                replica.state = ReplicaState::Draining { pid, exited: true };
                if group_empty || replica.termination.is_some_and(|termination| termination.killed) {
                    self.on_group_empty(id, out);
                }
            }
            state => unreachable!("replica {id} is {state:?}: it has no process that could exit"),
        }
    }

    /// Handles the exit of a process that the pool did not terminate, or that could not be started.
    fn on_unexpected_exit(
        &mut self,
        now: Time,
        id: ReplicaId,
        exit: Exit,
        uptime: Duration,
        random: u32,
        out: &mut Vec<Action>,
    ) {
        let replica = self.replica(id);
        replica.last_exit = Some(exit.clone());
        if !replica.is_desired() {
            return self.set_stopped(id);
        }
        if self.is_new(id) {
            return self.on_new_replica_exited(now, id, &exit, out);
        }
        match self.replica(id).backoff.on_exit(now, uptime, random) {
            Decision::Restart(after) => self.restart(now, id, after, out),
            Decision::CrashLoop { first, after } if self.replicas.values().any(Replica::is_healthy) => {
                if first {
                    let crash_loop = self.crash_loop(id, exit);
                    out.push(Action::CrashLooping { replica: id, crash_loop });
                }
                self.restart(now, id, after, out);
            }
            Decision::CrashLoop { .. } => self.give_up(now, id, exit, out),
        }
    }

    fn restart(&mut self, now: Time, id: ReplicaId, after: Duration, out: &mut Vec<Action>) {
        let replica = self.replica(id);
        replica.restart += 1;
        replica.state = ReplicaState::Backoff { until: now + after };
        out.push(Action::Restarting { replica: id, after });
    }

    fn crash_loop(&self, id: ReplicaId, last_exit: Exit) -> CrashLoop {
        let instance = self.instance(id, &self.replicas[&id]);
        CrashLoop { instance, exits: CRASH_LOOP_EXITS, within: CRASH_LOOP_WINDOW, last_exit }
    }

    fn give_up(&mut self, now: Time, id: ReplicaId, last_exit: Exit, out: &mut Vec<Action>) {
        let crash_loop = self.crash_loop(id, last_exit);
        // The other processes are signalled first: to report the end, the driver may wait for the last lines of this one.
        self.replica(id).state = ReplicaState::Backoff { until: now };
        self.on_shutdown(now, now + self.settings.drain, out);
        out.push(Action::GiveUp { replica: id, crash_loop });
    }

    fn on_registered(&mut self, now: Time, name: &str, out: &mut Vec<Action>) {
        let pool = &self.settings.name;
        let mut replicas = self.replicas.iter_mut();
        let Some((_, replica)) = replicas.find(|(id, replica)| instance_name(pool, **id, replica.restart) == name)
        else {
            return; // a process that has exited since, or a worker of another pool
        };
        if let ReplicaState::Running { pid, since } = replica.state {
            replica.state = ReplicaState::Registered { pid, since };
            replica.has_served = true;
        }
        self.start_canary_if_registered(now);
        let mut desired = self.replicas.values().filter(|replica| replica.is_desired());
        let all = desired.all(|replica| matches!(replica.state, ReplicaState::Registered { .. }));
        if all && self.phase == Phase::Serving && !self.ready_reported {
            self.ready_reported = true;
            out.push(Action::Ready(self.size()));
        }
    }

    /// Requests a process for each replica whose delay is over.
    fn start_due(&mut self, now: Time, out: &mut Vec<Action>) {
        for (&id, replica) in &mut self.replicas {
            if replica.next_start().is_some_and(|until| until <= now) {
                replica.state = ReplicaState::Starting;
                let instance = instance_name(&self.settings.name, id, replica.restart);
                out.push(Action::Spawn { replica: id, instance, restart: replica.restart });
            }
        }
    }
}
