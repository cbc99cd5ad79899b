//! What a pool may be asked for while it runs, and why it may say no.

/// How few and how many processes anybody may ask of a pool.
///
/// Every process of a pool costs its machine memory and a start: whoever reaches the broker may ask, so the pool's operator says
/// how far that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The fewest, at least 1.
    pub min: u32,
    /// The most, at most [`super::POOL_SIZE_MAX`].
    pub max: u32,
}

impl Bounds {
    /// Whether a size is within them.
    pub fn contain(&self, size: u32) -> bool {
        (self.min..=self.max).contains(&size)
    }
}

/// A change of processes that was begun: the new ones first, and then the old ones leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExchangeNumber(pub u32);

/// Why a pool does not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// More or fewer processes than the pool's operator allows.
    #[error("this pool has {} to {} processes, not {size}: start it with another --min or --max", bounds.min, bounds.max)]
    Bounds {
        /// What was asked.
        size: u32,
        /// What is allowed.
        bounds: Bounds,
    },
    /// Processes are being exchanged: one change at a time.
    #[error("the pool is exchanging processes: ask again when it is done")]
    Exchanging,
    /// So many processes are still leaving that new ones would be too many at a time.
    #[error("{leaving} processes are still leaving: ask again when they are gone")]
    Crowded {
        /// How many.
        leaving: u32,
    },
    /// No process of this name is there to be replaced.
    #[error("no worker {instance} runs in this pool")]
    NoSuchWorker {
        /// The name.
        instance: String,
    },
    /// It ends.
    #[error("the pool is ending")]
    Ending,
}

/// How the last exchange of processes ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// Which one.
    pub number: ExchangeNumber,
    /// Why the old processes were kept; `None`: the new ones have taken over.
    pub rolled_back: Option<String>,
}
