//! Outcomes and nudges on their way from the client's own threads to the program's.

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

/// What the program's thread has to see to.
#[derive(Debug)]
pub(super) enum Arrival {
    /// An outcome, and the number of the callback that waits for it.
    Outcome(usize, Result<Bytes, CallError>),
    /// The task of this number can go on.
    Task(usize),
}

/// Where that waits until the program polls. Bounded by the callbacks and tasks that may be pending: each is here once.
#[derive(Debug)]
pub(crate) struct Inbox {
    post: Mutex<Post>,
    arrived: Condvar,
    /// Readable while something is here.
    readable: PipeReader,
}

#[derive(Debug)]
struct Post {
    arrivals: VecDeque<Arrival>,
    bell: Bell,
}

impl Inbox {
    /// # Errors
    /// If the process has no files left.
    pub(crate) fn new() -> io::Result<Inbox> {
        let bell = Bell::new()?;
        let readable = bell.readable_end()?;
        Ok(Inbox { post: Mutex::new(Post { arrivals: VecDeque::new(), bell }), arrived: Condvar::new(), readable })
    }

    /// Leaves something here. Called on the client's own threads.
    pub(super) fn put(&self, arrival: Arrival) {
        let mut post = self.post();
        post.arrivals.push_back(arrival);
        // Under the lock: so the bell rings exactly while something is here.
        post.bell.ring();
        drop(post);
        self.arrived.notify_one();
    }

    /// Takes the oldest arrival.
    pub(super) fn take(&self) -> Option<Arrival> {
        let mut post = self.post();
        let arrival = post.arrivals.pop_front();
        if post.arrivals.is_empty() {
            post.bell.hush();
        }
        arrival
    }

    /// How many are here.
    pub(super) fn len(&self) -> usize {
        self.post().arrivals.len()
    }

    /// Waits until something is here, at most for so long.
    pub(super) fn wait(&self, at_most: Duration) {
        let nothing = |post: &mut Post| post.arrivals.is_empty();
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
        inbox.put(Arrival::Task(1));
        inbox.put(Arrival::Task(2));
        assert!(is_readable(&inbox));
        assert!(matches!(inbox.take(), Some(Arrival::Task(1))));
        assert!(is_readable(&inbox));
        assert!(matches!(inbox.take(), Some(Arrival::Task(2))));
        assert!(!is_readable(&inbox) && inbox.take().is_none());
    }

    #[test]
    fn who_waits_is_woken_by_what_comes() {
        let inbox = Arc::new(Inbox::new().unwrap());
        let other = Arc::clone(&inbox);
        let putting = thread::spawn(move || other.put(Arrival::Task(7)));
        while inbox.len() == 0 {
            inbox.wait(Duration::from_secs(60));
        }
        assert!(matches!(inbox.take(), Some(Arrival::Task(7))));
        putting.join().unwrap();
    }
}
