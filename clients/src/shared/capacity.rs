//! A limit on the number of pending calls or callbacks.

use tokio::sync::{AcquireError, Semaphore, SemaphorePermit, TryAcquireError};

/// A limit of `max` permits. A caller without a permit waits in first-come, first-served order, or gets an error.
#[derive(Debug)]
pub(crate) struct CapacityLimit {
    permits: Semaphore,
    max: usize,
}

/// The reason why there is no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPermit {
    /// All permits are in use.
    Full,
    /// All permits were in use until the call's deadline.
    TimedOut,
    /// The client is closed.
    Closed,
}

impl CapacityLimit {
    /// Creates a limit of `max` permits, at least one: with none, no call could ever proceed.
    pub(crate) fn new(max: usize) -> CapacityLimit {
        // A channel as long as the limit, and one more entry for a close, stays within tokio's own limit too.
        let max = max.clamp(1, Semaphore::MAX_PERMITS - 1);
        CapacityLimit { permits: Semaphore::new(max), max }
    }

    /// Returns the number of all permits.
    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// Takes a permit if one is available. It is returned when it is dropped, or, if it is forgotten, by
    /// [`CapacityLimit::release`].
    pub(crate) fn try_acquire(&self) -> Result<SemaphorePermit<'_>, NoPermit> {
        self.permits.try_acquire().map_err(|error| match error {
            TryAcquireError::NoPermits => NoPermit::Full,
            TryAcquireError::Closed => NoPermit::Closed,
        })
    }

    /// Waits for a permit. Dropping the future gives up its position in the queue of waiters and nothing else.
    pub(crate) async fn acquire(&self) -> Result<SemaphorePermit<'_>, NoPermit> {
        self.permits.acquire().await.map_err(|AcquireError { .. }| NoPermit::Closed)
    }

    /// Returns permits that were forgotten.
    pub(crate) fn release(&self, permits: usize) {
        self.permits.add_permits(permits);
    }

    /// Closes the limit: there are no more permits, and every waiter gets [`NoPermit::Closed`].
    pub(crate) fn close(&self) {
        self.permits.close();
    }
}
