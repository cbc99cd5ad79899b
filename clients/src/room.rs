//! Room for a bounded number of things.

use tokio::sync::{AcquireError, Semaphore, SemaphorePermit, TryAcquireError};

/// Room for so many things. Whoever finds none waits, first come, first served, or is told so.
#[derive(Debug)]
pub(crate) struct Room {
    places: Semaphore,
    max: usize,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// All are taken.
    Full,
    /// All were taken for as long as the call could wait.
    TimedOut,
    /// The client is closed.
    Closed,
}

impl Room {
    /// Room for `max` things; at least for one, or nothing would ever go on.
    pub(crate) fn new(max: usize) -> Room {
        // A channel that is as long as a room, and one more for a close, is within tokio's limit, too.
        let max = max.clamp(1, Semaphore::MAX_PERMITS - 1);
        Room { places: Semaphore::new(max), max }
    }

    /// How many things there is room for.
    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// A place, if there is one now. It is given back when it is dropped, or, once forgotten, by [`Room::give_back`].
    pub(crate) fn try_take(&self) -> Result<SemaphorePermit<'_>, NoRoom> {
        self.places.try_acquire().map_err(|error| match error {
            TryAcquireError::NoPermits => NoRoom::Full,
            TryAcquireError::Closed => NoRoom::Closed,
        })
    }

    /// Waits for a place. Dropping the future gives up the place in the line, nothing else.
    pub(crate) async fn take(&self) -> Result<SemaphorePermit<'_>, NoRoom> {
        self.places.acquire().await.map_err(|AcquireError { .. }| NoRoom::Closed)
    }

    /// Gives back places that were forgotten.
    pub(crate) fn give_back(&self, places: usize) {
        self.places.add_permits(places);
    }

    /// From now on there is no room, and whoever waits is told.
    pub(crate) fn close(&self) {
        self.places.close();
    }
}
