//! The queue from the client's own threads to the program's polls.

use std::{
    collections::VecDeque,
    io::{self, PipeReader},
    os::fd::{AsFd, BorrowedFd},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;

use super::readiness::ReadinessPipe;
use crate::error::call_error::CallError;

/// An entry for the program's thread.
#[derive(Debug)]
pub(super) enum InboxEntry {
    /// The outcome of a call, with the key of its callback.
    Outcome(usize, Result<Bytes, CallError>),
    /// The key of a task that can make progress.
    Task(usize),
}

/// The entries until the program polls. The limit of pending callbacks and tasks bounds it: each is queued at most once.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<State>,
    pushed: Condvar,
    /// Readable while there are entries.
    readable: PipeReader,
}

#[derive(Debug)]
struct State {
    entries: VecDeque<InboxEntry>,
    readiness: ReadinessPipe,
}

impl Inbox {
    /// Creates an empty inbox.
    ///
    /// # Errors
    /// If the process has no file descriptors left.
    pub(super) fn new() -> io::Result<Inbox> {
        let readiness = ReadinessPipe::new()?;
        let readable = readiness.readable_end()?;
        let state = Mutex::new(State { entries: VecDeque::new(), readiness });
        Ok(Inbox { state, pushed: Condvar::new(), readable })
    }

    /// Appends an entry. Called on the client's own threads.
    pub(super) fn push(&self, entry: InboxEntry) {
        let mut state = self.state();
        state.entries.push_back(entry);
        // Under the lock, so that the pipe is readable exactly while there are entries.
        state.readiness.set_ready();
        drop(state);
        self.pushed.notify_one();
    }

    /// Takes the oldest entry.
    pub(super) fn take(&self) -> Option<InboxEntry> {
        let mut state = self.state();
        let entry = state.entries.pop_front();
        if state.entries.is_empty() {
            state.readiness.clear();
        }
        entry
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.state().entries.len()
    }

    /// Waits until there is an entry, for at most `at_most`.
    pub(super) fn wait(&self, at_most: Duration) {
        let empty = |state: &mut State| state.entries.is_empty();
        // The caller checks the entries in either case.
        let _ = self.pushed.wait_timeout_while(self.state(), at_most, empty);
    }

    /// Locks the state. Nothing that may panic runs under the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.readable.as_fd()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{sync::Arc, thread};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn is_readable(inbox: &Inbox) -> bool {
        let mut watched = [PollFd::new(inbox, PollFlags::IN)];
        poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    }

    #[test]
    fn the_inbox_is_readable_exactly_while_it_has_entries() {
        let inbox = Inbox::new().unwrap();
        assert!(!is_readable(&inbox));
        inbox.push(InboxEntry::Task(1));
        inbox.push(InboxEntry::Task(2));
        assert!(is_readable(&inbox));
        assert!(matches!(inbox.take(), Some(InboxEntry::Task(1))));
        assert!(is_readable(&inbox));
        assert!(matches!(inbox.take(), Some(InboxEntry::Task(2))));
        assert!(!is_readable(&inbox) && inbox.take().is_none());
    }

    #[test]
    fn a_push_wakes_a_waiting_thread() {
        let inbox = Arc::new(Inbox::new().unwrap());
        let other = Arc::clone(&inbox);
        let pushing = thread::spawn(move || other.push(InboxEntry::Task(7)));
        while inbox.len() == 0 {
            inbox.wait(Duration::from_secs(60));
        }
        assert!(matches!(inbox.take(), Some(InboxEntry::Task(7))));
        pushing.join().unwrap();
    }
}
