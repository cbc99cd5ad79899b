//! The replica set: the pure state machine that supervises the processes of a pool.
//!
//! A replica is one place in the pool that a process fills. The machine decides which replica gets a process, and which process is
//! replaced or terminated. It is pure, like the machines of `callboard-core`: events in, actions out; time and randomness are
//! arguments. The driver ([`super::control`]) spawns, signals and reaps, and decides nothing.
//!
//! | state | spawned | spawn failed, exited | terminated by the pool | timeout |
//! |---|---|---|---|---|
//! | backoff | | | stopped | starting |
//! | starting | running | backoff, or give up | starting | |
//! | running, registered | | backoff, or give up | draining | |
//! | draining | | stopped; draining while its process group lives on | draining | killed at the deadline |
//!
//! A replica whose processes exit again and again is in a crash loop. If another replica is healthy, the pool continues and retries
//! the failing one at the longest delay. If no replica is healthy, the pool gives up.
//!
//! The pool terminates a replica when it shrinks (`scaling.rs`), when a rollout has replaced the replica (`replacement.rs`), or when
//! the pool shuts down (`termination.rs`). A replica that is still starting then goes to draining or stopped instead of running.
//! Replicas are kept by id and share no state. While the pool serves, a stopped replica is removed; during a shutdown it stays
//! visible in the status.
//!
//! `set.rs` holds the type; `scaling.rs`, `replacement.rs` and `termination.rs` each add one group of methods to it.

mod change;
mod event;
#[cfg(test)]
mod invariants;
mod replacement;
mod replica;
mod restart_backoff;
mod rollout;
mod scaling;
mod set;
mod termination;

pub use self::{
    change::{Bounds, ChangeError, RolloutId, RolloutOutcome, RolloutProgress},
    replica::{ReplicaId, ReplicaState},
    restart_backoff::{
        CRASH_LOOP_EXITS, CRASH_LOOP_WINDOW, CrashLoop, RESTART_DELAY_MAX, RESTART_DELAY_MIN, RESTART_RESET,
    },
};
pub(super) use self::{
    event::{Action, Event, TerminationSignal},
    scaling::RunningCalls,
    set::{ReplicaSet, SupervisionSettings},
};

#[cfg(test)]
mod tests;
