//! The changes that an owner can request of a running pool, and why the pool rejects them.

/// The smallest and the largest size that a pool accepts.
///
/// Every process costs memory and a start, and every client of the broker can request a size. The pool's operator sets the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The smallest size, at least 1.
    pub min: u32,
    /// The largest size, at most [`crate::pool::POOL_SIZE_MAX`].
    pub max: u32,
}

impl Bounds {
    /// Returns whether a size is within the bounds.
    pub fn contain(&self, size: u32) -> bool {
        (self.min..=self.max).contains(&size)
    }
}

/// The id of one rollout, counted from 1. A rollout starts new processes and then terminates the old ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RolloutId(pub u32);

/// A rollout in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolloutProgress {
    /// Its id.
    pub id: RolloutId,
    /// Whether the new processes already serve beside the old ones, in their canary period.
    pub canary: bool,
}

/// How a rollout ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutOutcome {
    /// Which rollout.
    pub id: RolloutId,
    /// Why the pool kept the old processes; `None` if the new ones replaced them.
    pub rolled_back: Option<String>,
}

/// Why a pool rejects a change of its processes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The size is outside of the pool's bounds.
    #[error(
        "size {size} is outside of this pool's bounds, {} to {}: start the pool with another --min or --max",
        bounds.min, bounds.max
    )]
    Bounds {
        /// The requested size.
        size: u32,
        /// The pool's bounds.
        bounds: Bounds,
    },
    /// A rollout is in progress, and the pool makes one change at a time.
    #[error("the pool is replacing processes: try again when the rollout has finished")]
    RolloutInProgress,
    /// Too many processes are still terminating to start new ones beside them.
    #[error("{terminating} processes are still terminating: try again when they have exited")]
    TooManyTerminating {
        /// How many processes are terminating.
        terminating: u32,
    },
    /// No process of this name is running.
    #[error("no worker {instance} runs in this pool: list the workers with `callboard status`")]
    NoSuchWorker {
        /// The requested name.
        instance: String,
    },
    /// The pool is shutting down.
    #[error("the pool is shutting down")]
    ShuttingDown,
}
