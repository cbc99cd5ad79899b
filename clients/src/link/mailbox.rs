//! Things on their way from one thread to another, in batches.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

/// How long a receiver waits for who holds his mailbox, before he looks by himself. The shortest that tokio's timer can do.
pub const HOLD_MAX: Duration = Duration::from_millis(1);

/// A mailbox with any number of senders and one receiver, who is woken once for all that is there when he looks.
///
/// A wake-up across threads costs as much as some twenty calls, so it is the number of wake-ups that counts. It has no bound of its
/// own: its users see to it that what they put in is bounded.
#[derive(Debug)]
pub struct Mailbox<T> {
    post: Mutex<Post<T>>,
    news: Notify,
}

#[derive(Debug)]
struct Post<T> {
    things: Vec<T>,
    /// While somebody is known to come and wake the receiver, nobody else does.
    held: bool,
    closed: bool,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Mailbox { post: Mutex::new(Post { things: Vec::new(), held: false, closed: false }), news: Notify::new() }
    }
}

impl<T> Mailbox<T> {
    /// Puts a thing in; the receiver is woken if it is the first and nobody holds the mailbox.
    ///
    /// # Errors
    /// The thing, if the mailbox is closed.
    pub fn put(&self, thing: T) -> Result<(), T> {
        let mut post = self.post();
        if post.closed {
            return Err(thing);
        }
        post.things.push(thing);
        let wake = post.things.len() == 1 && !post.held;
        drop(post);
        if wake {
            self.news.notify_one();
        }
        Ok(())
    }

    /// Puts things in, which leaves `things` empty; whether nothing else was there. Into a closed mailbox they go to be dropped.
    pub fn put_all(&self, things: &mut Vec<T>) -> bool {
        let mut post = self.post();
        if post.closed {
            drop(post);
            things.clear();
            return false;
        }
        let first = post.things.is_empty();
        let wake = first && !things.is_empty() && !post.held;
        post.things.append(things);
        drop(post);
        if wake {
            self.news.notify_one();
        }
        first
    }

    /// From now on what is put in wakes nobody, until [`Mailbox::release`], which somebody else is about to do; whether nobody held it
    /// before. It is the receiver who begins a hold, and who ends it if nobody else has within [`HOLD_MAX`].
    pub fn hold(&self) -> bool {
        !mem::replace(&mut self.post().held, true)
    }

    /// Ends a hold: the receiver is woken if something is there.
    pub fn release(&self) {
        let mut post = self.post();
        let wake = mem::replace(&mut post.held, false) && !post.things.is_empty();
        drop(post);
        if wake {
            self.news.notify_one();
        }
    }

    /// Whether somebody holds it.
    pub fn is_held(&self) -> bool {
        self.post().held
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.post().things.is_empty()
    }

    /// Wakes the receiver, held or not: there is news for him elsewhere.
    pub fn nudge(&self) {
        self.news.notify_one();
    }

    /// Takes all that is there, in the order in which it was put in; `empty` is what the mailbox goes on with.
    pub fn take(&self, empty: Vec<T>) -> Vec<T> {
        mem::replace(&mut self.post().things, empty)
    }

    /// Waits until something may be there.
    ///
    /// # Cancel safety
    /// Nothing is taken. A wake-up that was not waited for to its end is kept for the next wait.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// Takes what is there; nothing can be put in from now on.
    pub fn close(&self) -> Vec<T> {
        let mut post = self.post();
        post.closed = true;
        mem::take(&mut post.things)
    }

    /// Nothing panics while it holds the lock, so a poisoned one still holds whole things.
    fn post(&self) -> MutexGuard<'_, Post<T>> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt;

    use super::*;

    #[test]
    fn many_things_are_one_piece_of_news() {
        let mailbox = Mailbox::default();
        (0..3).for_each(|thing| assert_eq!(mailbox.put(thing), Ok(())));
        assert!(mailbox.news().now_or_never().is_some());
        assert!(mailbox.news().now_or_never().is_none());
        assert_eq!(mailbox.take(Vec::new()), [0, 1, 2]);
    }

    #[test]
    fn who_holds_brings_the_news_later() {
        let mailbox = Mailbox::default();
        assert!(mailbox.hold() && !mailbox.hold() && mailbox.is_held());
        assert_eq!(mailbox.put(1), Ok(()));
        assert!(mailbox.news().now_or_never().is_none());
        mailbox.release();
        assert!(!mailbox.is_held() && !mailbox.is_empty());
        assert!(mailbox.news().now_or_never().is_some());
        mailbox.hold();
        mailbox.take(Vec::new());
        mailbox.release();
        assert!(mailbox.news().now_or_never().is_none(), "there is nothing to tell");
    }

    #[test]
    fn a_closed_mailbox_keeps_nothing() {
        let thing = Arc::new(());
        let mailbox = Mailbox::default();
        assert_eq!(mailbox.put(thing.clone()), Ok(()));
        assert_eq!(mailbox.close().len(), 1);
        assert!(mailbox.put(thing.clone()).is_err());
        mailbox.put_all(&mut vec![thing.clone()]);
        assert_eq!(Arc::strong_count(&thing), 1);
    }
}
