//! Things on their way from one thread to another, in batches.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// A mailbox with any number of senders and one receiver, who is woken once for all that is there when he looks.
///
/// A wake-up across threads costs as much as some twenty calls, so it is the number of wake-ups that counts. What is in it is
/// bounded by its users: one thing a slot.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
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
    /// Puts a thing in; the receiver is woken if it is the first. Into a closed mailbox it goes to be dropped.
    pub(crate) fn put(&self, thing: T) {
        let mut post = self.post();
        if post.closed {
            drop(post);
            return drop(thing);
        }
        post.things.push(thing);
        let wake = post.things.len() == 1 && !post.held;
        drop(post);
        if wake {
            self.news.notify_one();
        }
    }

    /// Puts things in, which leaves `things` empty.
    pub(crate) fn put_all(&self, things: &mut Vec<T>) {
        let mut post = self.post();
        if post.closed {
            drop(post);
            return things.clear();
        }
        let wake = post.things.is_empty() && !things.is_empty() && !post.held;
        post.things.append(things);
        drop(post);
        if wake {
            self.news.notify_one();
        }
    }

    /// From now on what is put in wakes nobody, until [`Mailbox::release`]. The receiver may look all the same.
    pub(crate) fn hold(&self) {
        self.post().held = true;
    }

    /// Ends a hold: the receiver is woken if something is there.
    pub(crate) fn release(&self) {
        let mut post = self.post();
        let wake = mem::replace(&mut post.held, false) && !post.things.is_empty();
        drop(post);
        if wake {
            self.news.notify_one();
        }
    }

    /// Wakes the receiver, held or not: there is news for him elsewhere.
    pub(crate) fn nudge(&self) {
        self.news.notify_one();
    }

    /// Whether wake-ups are held back, so that who relies on them should look by himself before long.
    pub(crate) fn is_held(&self) -> bool {
        self.post().held
    }

    /// Takes all that is there, in the order in which it was put in; `empty` is what the mailbox goes on with.
    pub(crate) fn take(&self, empty: Vec<T>) -> Vec<T> {
        mem::replace(&mut self.post().things, empty)
    }

    /// Waits until something may be there.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is taken.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// Drops what is there, and what is put in later.
    pub(crate) fn close(&self) {
        let mut post = self.post();
        post.closed = true;
        let things = mem::take(&mut post.things);
        drop(post);
        drop(things);
    }

    /// Nothing panics while it holds the lock, so a poisoned one still holds whole things.
    fn post(&self) -> MutexGuard<'_, Post<T>> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn many_things_are_one_piece_of_news() {
        let mailbox = Mailbox::default();
        (0..3).for_each(|thing| mailbox.put(thing));
        assert!(mailbox.news().now_or_never().is_some());
        assert!(mailbox.news().now_or_never().is_none());
        assert_eq!(mailbox.take(Vec::new()), [0, 1, 2]);
    }

    #[test]
    fn who_holds_brings_the_news_later() {
        let mailbox = Mailbox::default();
        mailbox.hold();
        mailbox.put(1);
        assert!(mailbox.news().now_or_never().is_none());
        mailbox.release();
        assert!(mailbox.news().now_or_never().is_some());
        mailbox.hold();
        mailbox.take(Vec::new());
        mailbox.release();
        assert!(mailbox.news().now_or_never().is_none(), "there is nothing to tell");
    }

    #[test]
    fn a_closed_mailbox_keeps_nothing() {
        let thing = std::sync::Arc::new(());
        let mailbox = Mailbox::default();
        mailbox.put(thing.clone());
        mailbox.close();
        mailbox.put(thing.clone());
        mailbox.put_all(&mut vec![thing.clone()]);
        assert_eq!(std::sync::Arc::strong_count(&thing), 1);
    }
}
