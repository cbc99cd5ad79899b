//! The inputs and outputs of the replica set: events, and actions for its driver.

use std::time::Duration;

use callboard_core::time::Time;

use super::{
    change::{RolloutId, RolloutOutcome},
    replica::ReplicaId,
    restart_backoff::CrashLoop,
};
use crate::pool::process::Exit;

/// An input of the replica set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Event {
    /// The deadline of `ReplicaSet::poll_timeout` has passed.
    Timeout,
    /// The requested process runs.
    Spawned { replica: ReplicaId, pid: u32 },
    /// The system could not start the requested process.
    SpawnFailed { replica: ReplicaId, error: String },
    /// The replica's process has exited and is not reaped. `group_empty`: no other process of its group lives.
    Exited { replica: ReplicaId, exit: Exit, group_empty: bool },
    /// The last process of an exited leader's group has exited.
    GroupEmpty { replica: ReplicaId },
    /// A worker of this name is registered at the broker.
    Registered { instance: String },
    /// The owner rejects the new processes of this rollout.
    RollBack { rollout: RolloutId, reason: String },
    /// Terminate all processes, and kill those that still run at the deadline. A later shutdown can only shorten the time.
    Shutdown { deadline: Time },
}

/// An output of the replica set. The driver performs actions in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Action {
    /// Start a process. The driver answers with [`Event::Spawned`] or [`Event::SpawnFailed`].
    Spawn { replica: ReplicaId, instance: String, restart: u32 },
    /// Signal the process group of the replica's process, which is not reaped yet.
    Signal { replica: ReplicaId, signal: TerminationSignal },
    /// Kill the rest of the process group, then reap the process, which has exited.
    Reap { replica: ReplicaId },
    /// Report that the replica's next process starts after this delay.
    Restarting { replica: ReplicaId, after: Duration },
    /// Report that the replica is in a crash loop and is retried at the longest delay, because other replicas are healthy. Comes
    /// once for each crash loop.
    CrashLooping { replica: ReplicaId, crash_loop: CrashLoop },
    /// Report that all workers, this many, are registered. Comes once.
    Ready(u32),
    /// Report how a rollout ended. `replica`: the new replica whose process exited, if that caused the rollback.
    RolloutFinished { outcome: RolloutOutcome, replica: Option<ReplicaId> },
    /// Report that the pool gives up because of this replica. Comes once, together with the shutdown.
    GiveUp { replica: ReplicaId, crash_loop: CrashLoop },
    /// Report that the last process is gone. Comes once; no action follows it.
    Finished,
}

/// The signal that the driver sends to a process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum TerminationSignal {
    /// SIGTERM: the worker finishes its running calls, then exits.
    Term,
    /// SIGKILL.
    Kill,
}
