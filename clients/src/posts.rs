//! Words of callers for the link thread that cannot wait for a place in its queue.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// What callers have to say since the link thread last looked: calls that were given up, and what streams send and have read.
///
/// It has no bound of its own, and needs none. A call is given up once, while it waits or is open, and no call ends between two looks
/// of the link thread, which takes all with each look: there are never more such words than calls, which the queue's room and the
/// broker's credit bound. A stream says no more than its credit allows. (A place in the commands' channel could not be had: a drop
/// cannot wait.)
#[derive(Debug)]
pub(crate) struct Posts<T> {
    posts: Mutex<Vec<T>>,
    wake: Notify,
}

impl<T> Default for Posts<T> {
    fn default() -> Self {
        Posts { posts: Mutex::default(), wake: Notify::new() }
    }
}

impl<T> Posts<T> {
    /// Says something.
    pub(crate) fn push(&self, post: T) {
        let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        let first = posts.is_empty();
        posts.push(post);
        drop(posts);
        if first {
            self.wake.notify_one();
        }
    }

    /// All of them, in their order.
    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.posts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until there are some. May also say so when they were taken already.
    ///
    /// # Cancel safety
    /// A word that was not waited for to its end is kept for the next wait.
    pub(crate) async fn some(&self) {
        self.wake.notified().await;
    }
}
