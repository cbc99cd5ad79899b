//! A queue between threads whose receiver takes everything at once.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

/// How long a receiver waits while its wake-ups are suppressed, before it looks at the queue by itself. The shortest delay that
/// tokio's timer supports.
pub const WAKEUP_DELAY_MAX: Duration = Duration::from_millis(1);

/// A queue with many senders and one receiver. One wake-up of the receiver serves all entries that are queued by the time it looks.
///
/// A wake-up across threads costs as much as about twenty calls, so the number of wake-ups counts. The queue has no limit of its
/// own: its users ensure that what they push is bounded.
#[derive(Debug)]
pub struct BatchQueue<T> {
    state: Mutex<State<T>>,
    receiver: Notify,
}

#[derive(Debug)]
struct State<T> {
    entries: Vec<T>,
    /// While true, a push wakes nothing, because another task is about to wake the receiver.
    suppressed: bool,
    closed: bool,
}

impl<T> Default for BatchQueue<T> {
    fn default() -> Self {
        BatchQueue {
            state: Mutex::new(State { entries: Vec::new(), suppressed: false, closed: false }),
            receiver: Notify::new(),
        }
    }
}

impl<T> BatchQueue<T> {
    /// Appends an entry. Wakes the receiver if the queue was empty and wake-ups are not suppressed.
    ///
    /// # Errors
    /// Returns the entry if the queue is closed.
    pub fn push(&self, entry: T) -> Result<(), T> {
        let mut state = self.state();
        if state.closed {
            return Err(entry);
        }
        state.entries.push(entry);
        let wake = state.entries.len() == 1 && !state.suppressed;
        drop(state);
        if wake {
            self.receiver.notify_one();
        }
        Ok(())
    }

    /// Moves all of `entries` into the queue. Returns true if the queue was empty before. A closed queue drops them.
    pub fn append(&self, entries: &mut Vec<T>) -> bool {
        let mut state = self.state();
        if state.closed {
            drop(state);
            entries.clear();
            return false;
        }
        let was_empty = state.entries.is_empty();
        let wake = was_empty && !entries.is_empty() && !state.suppressed;
        state.entries.append(entries);
        drop(state);
        if wake {
            self.receiver.notify_one();
        }
        was_empty
    }

    /// Suppresses wake-ups until [`BatchQueue::resume_wakeups`], which another task must be about to call. Returns true if they were
    /// not suppressed before.
    ///
    /// Only the receiver suppresses wake-ups. It resumes them itself if the other task has not done so within [`WAKEUP_DELAY_MAX`].
    pub fn suppress_wakeups(&self) -> bool {
        !mem::replace(&mut self.state().suppressed, true)
    }

    /// Ends the suppression of wake-ups, and wakes the receiver if the queue has entries.
    pub fn resume_wakeups(&self) {
        let mut state = self.state();
        let wake = mem::replace(&mut state.suppressed, false) && !state.entries.is_empty();
        drop(state);
        if wake {
            self.receiver.notify_one();
        }
    }

    /// Returns true while wake-ups are suppressed.
    pub fn wakeups_suppressed(&self) -> bool {
        self.state().suppressed
    }

    /// Returns true if the queue has no entries.
    pub fn is_empty(&self) -> bool {
        self.state().entries.is_empty()
    }

    /// Wakes the receiver for something outside this queue, also while wake-ups are suppressed.
    pub fn notify(&self) {
        self.receiver.notify_one();
    }

    /// Takes all entries in the order of their pushes. `empty` becomes the queue's new buffer, so that its memory is reused.
    pub fn take(&self, empty: Vec<T>) -> Vec<T> {
        mem::replace(&mut self.state().entries, empty)
    }

    /// Waits until the receiver is woken; the queue may have entries then.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is taken, and a wake-up that arrives while the future is dropped is kept for the next call.
    pub async fn notified(&self) {
        self.receiver.notified().await;
    }

    /// Closes the queue for further pushes and takes its entries.
    pub fn close(&self) -> Vec<T> {
        let mut state = self.state();
        state.closed = true;
        mem::take(&mut state.entries)
    }

    /// Locks the state. Nothing panics while it holds the lock, so a poisoned lock still guards consistent state.
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt;

    use super::*;

    #[test]
    fn many_pushes_wake_the_receiver_once() {
        let queue = BatchQueue::default();
        (0..3).for_each(|entry| assert_eq!(queue.push(entry), Ok(())));
        assert!(queue.notified().now_or_never().is_some());
        assert!(queue.notified().now_or_never().is_none());
        assert_eq!(queue.take(Vec::new()), [0, 1, 2]);
    }

    #[test]
    fn suppressed_wakeups_are_delivered_when_they_resume() {
        let queue = BatchQueue::default();
        assert!(queue.suppress_wakeups() && !queue.suppress_wakeups() && queue.wakeups_suppressed());
        assert_eq!(queue.push(1), Ok(()));
        assert!(queue.notified().now_or_never().is_none());
        queue.resume_wakeups();
        assert!(!queue.wakeups_suppressed() && !queue.is_empty());
        assert!(queue.notified().now_or_never().is_some());
        queue.suppress_wakeups();
        queue.take(Vec::new());
        queue.resume_wakeups();
        assert!(queue.notified().now_or_never().is_none(), "an empty queue wakes nothing");
    }

    #[test]
    fn a_closed_queue_keeps_no_entries() {
        let entry = Arc::new(());
        let queue = BatchQueue::default();
        assert_eq!(queue.push(entry.clone()), Ok(()));
        assert_eq!(queue.close().len(), 1);
        assert!(queue.push(entry.clone()).is_err());
        queue.append(&mut vec![entry.clone()]);
        assert_eq!(Arc::strong_count(&entry), 1);
    }
}
