//! One replica of a pool, and the process that fills it.

use std::fmt;

use callboard_core::time::Time;

use super::restart_backoff::RestartBackoff;
use crate::pool::process::Exit;

/// The id of one replica. Ids count from 1 and are not reused while the pool runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub u32);

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The state of one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaState {
    /// Its next process starts at this time.
    Backoff {
        /// When; a time in the past means now.
        until: Time,
    },
    /// A process was requested and is not running yet.
    Starting,
    /// Its process runs and is not registered at the broker yet.
    Running {
        /// The process id.
        pid: u32,
        /// When the process started.
        since: Time,
    },
    /// Its process runs and is registered at the broker.
    Registered {
        /// The process id.
        pid: u32,
        /// When the process started.
        since: Time,
    },
    /// Its process is terminating.
    Draining {
        /// The process id.
        pid: u32,
        /// The process has exited, and other processes of its group, which got the same signal, still run.
        exited: bool,
    },
    /// It has no process and gets no other.
    Stopped,
}

impl ReplicaState {
    /// Returns the id of the replica's process, if it has one.
    pub fn pid(&self) -> Option<u32> {
        match *self {
            ReplicaState::Running { pid, .. }
            | ReplicaState::Registered { pid, .. }
            | ReplicaState::Draining { pid, .. } => Some(pid),
            ReplicaState::Backoff { .. } | ReplicaState::Starting | ReplicaState::Stopped => None,
        }
    }

    /// Returns the state's name in the pool's status, which is part of the protocol: `starting`, `registered` and so on.
    pub fn name(&self) -> &'static str {
        match self {
            ReplicaState::Backoff { .. } => "backoff",
            ReplicaState::Starting => "starting",
            ReplicaState::Running { .. } => "running",
            ReplicaState::Registered { .. } => "registered",
            ReplicaState::Draining { .. } => "draining",
            ReplicaState::Stopped => "empty",
        }
    }
}

/// The record that the replica set keeps of one replica.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    /// Which reload of the program it belongs to.
    pub(super) generation: u32,
    /// How many processes it had before the current (or next) one.
    pub(super) restart: u32,
    pub(super) state: ReplicaState,
    /// Decides when its next process starts after this one has exited.
    pub(super) backoff: RestartBackoff,
    /// Whether one of its processes was ever registered, which proves that the program can serve.
    pub(super) has_served: bool,
    /// How its last process exited.
    pub(super) last_exit: Option<Exit>,
    /// Set once the pool terminates the replica.
    pub(super) termination: Option<Termination>,
}

/// The termination of one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Termination {
    /// When the driver kills the rest of its process group.
    pub(super) deadline: Time,
    /// Whether the deadline has passed.
    pub(super) killed: bool,
}

impl Replica {
    /// Creates a replica whose first process is due at `now`.
    pub(super) fn new(now: Time, generation: u32) -> Replica {
        Replica {
            generation,
            restart: 0,
            state: ReplicaState::Backoff { until: now },
            backoff: RestartBackoff::default(),
            has_served: false,
            last_exit: None,
            termination: None,
        }
    }

    /// Returns whether the pool keeps a process in this replica.
    pub(super) fn is_desired(&self) -> bool {
        self.termination.is_none()
    }

    /// Returns whether this replica shows that the program can serve: it has served, and is not in a crash loop.
    pub(super) fn is_healthy(&self) -> bool {
        self.is_desired() && self.has_served && !self.backoff.is_crash_looping()
    }

    /// Returns when the next process starts, if the replica waits for that.
    pub(super) fn next_start(&self) -> Option<Time> {
        match self.state {
            ReplicaState::Backoff { until } => Some(until),
            _ => None,
        }
    }
}

/// Returns the name of one process: `calculator-3`, and after the second restart of its replica `calculator-3.2`.
pub(super) fn instance_name(pool: &str, replica: ReplicaId, restart: u32) -> String {
    match restart {
        0 => format!("{pool}-{replica}"),
        _ => format!("{pool}-{replica}.{restart}"),
    }
}
