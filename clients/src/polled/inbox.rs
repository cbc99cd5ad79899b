//! Outcomes on their way from the client's own thread to the program's.

use std::{
    collections::VecDeque,
    io::{self, PipeReader},
    os::fd::{AsFd, BorrowedFd},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;

use super::bell::Bell;
use crate::CallError;

/// An outcome, and the number of the callback that waits for it.
pub(super) type Outcome = (usize, Result<Bytes, CallError>);

/// Where outcomes wait until the program polls. Bounded by the callbacks that may be pending.
#[derive(Debug)]
pub(crate) struct Inbox {
    post: Mutex<Post>,
    arrived: Condvar,
    /// Readable while something is here.
    readable: PipeReader,
}

#[derive(Debug)]
struct Post {
    outcomes: VecDeque<Outcome>,
    bell: Bell,
}

impl Inbox {
    /// # Errors
    /// If the process has no files left.
    pub(crate) fn new() -> io::Result<Inbox> {
        let bell = Bell::new()?;
        let readable = bell.readable_end()?;
        Ok(Inbox { post: Mutex::new(Post { outcomes: VecDeque::new(), bell }), arrived: Condvar::new(), readable })
    }

    /// Leaves an outcome here. Called on the client's callback thread.
    pub(super) fn put(&self, outcome: Outcome) {
        let mut post = self.post();
        post.outcomes.push_back(outcome);
        // Under the lock: so the bell rings exactly while something is here.
        post.bell.ring();
        drop(post);
        self.arrived.notify_one();
    }

    /// Takes the oldest outcome.
    pub(super) fn take(&self) -> Option<Outcome> {
        let mut post = self.post();
        let outcome = post.outcomes.pop_front();
        if post.outcomes.is_empty() {
            post.bell.hush();
        }
        outcome
    }

    /// How many are here.
    pub(super) fn len(&self) -> usize {
        self.post().outcomes.len()
    }

    /// Waits until something is here, at most for so long.
    pub(super) fn wait(&self, at_most: Duration) {
        let nothing = |post: &mut Post| post.outcomes.is_empty();
        // Whether it came or the time is up, the caller looks.
        let _ = self.arrived.wait_timeout_while(self.post(), at_most, nothing);
    }

    fn post(&self) -> MutexGuard<'_, Post> {
        // Nothing that may panic runs under the lock.
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn it_is_readable_exactly_while_something_is_in_it() {
        let inbox = Inbox::new().unwrap();
        assert!(!is_readable(&inbox));
        inbox.put((1, Ok(Bytes::new())));
        inbox.put((2, Ok(Bytes::new())));
        assert!(is_readable(&inbox));
        assert_eq!(inbox.take().unwrap().0, 1);
        assert!(is_readable(&inbox));
        assert_eq!(inbox.take().unwrap().0, 2);
        assert!(!is_readable(&inbox) && inbox.take().is_none());
    }

    #[test]
    fn who_waits_is_woken_by_what_comes() {
        let inbox = Arc::new(Inbox::new().unwrap());
        let other = Arc::clone(&inbox);
        let putting = thread::spawn(move || other.put((7, Ok(Bytes::new()))));
        while inbox.len() == 0 {
            inbox.wait(Duration::from_secs(60));
        }
        assert_eq!(inbox.take().unwrap().0, 7);
        putting.join().unwrap();
    }
}
