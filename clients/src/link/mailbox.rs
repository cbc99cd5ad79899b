//! Things on their way from one thread to another, in batches.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use callboard_core::time::Time;
use tokio::sync::Notify;

use super::{Clock, Timer};

/// How long what is put in may lie unseen, because who was to wake the receiver is kept busy. The shortest that tokio's timer can do.
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
    /// While somebody is known to come and wake the receiver, nobody else does, until then at most.
    held: Option<Time>,
    closed: bool,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Mailbox { post: Mutex::new(Post { things: Vec::new(), held: None, closed: false }), news: Notify::new() }
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
        let wake = post.things.len() == 1 && post.held.is_none();
        drop(post);
        if wake {
            self.news.notify_one();
        }
        Ok(())
    }

    /// Puts things in, which leaves `things` empty. Into a closed mailbox they go to be dropped.
    pub fn put_all(&self, things: &mut Vec<T>) {
        let mut post = self.post();
        if post.closed {
            drop(post);
            return things.clear();
        }
        let wake = post.things.is_empty() && !things.is_empty() && post.held.is_none();
        post.things.append(things);
        drop(post);
        if wake {
            self.news.notify_one();
        }
    }

    /// From now on what is put in wakes nobody, until [`Mailbox::release`], which somebody else is about to do. The receiver may look
    /// all the same, and does so by himself when a millisecond has passed: see [`Mailbox::news_by`].
    pub fn hold(&self, now: Time) {
        self.post().held.get_or_insert(now + HOLD_MAX);
    }

    /// Ends a hold: the receiver is woken if something is there.
    pub fn release(&self) {
        let mut post = self.post();
        let wake = post.held.take().is_some() && !post.things.is_empty();
        drop(post);
        if wake {
            self.news.notify_one();
        }
    }

    /// Whether the mailbox is held. A hold that has lasted too long is ended by this.
    pub fn is_held(&self, now: Time) -> bool {
        let held = &mut self.post().held;
        *held = held.filter(|&until| until > now);
        held.is_some()
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

    /// As [`Mailbox::news`], where somebody may hold the mailbox: waits until then at most, which `timer` is for.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn news_by(&self, clock: Clock, timer: &mut Timer) {
        let held = self.post().held;
        tokio::select! {
            // Both are cancel safe: they say so.
            () = self.news() => {}
            () = timer.wait(clock, held) => self.release(),
        }
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
        mailbox.hold(Time::ZERO);
        assert_eq!(mailbox.put(1), Ok(()));
        assert!(mailbox.news().now_or_never().is_none());
        mailbox.release();
        assert!(mailbox.news().now_or_never().is_some());
        mailbox.hold(Time::ZERO);
        mailbox.take(Vec::new());
        mailbox.release();
        assert!(mailbox.news().now_or_never().is_none(), "there is nothing to tell");
    }

    #[tokio::test]
    async fn who_holds_and_does_not_come_is_not_waited_for() {
        let (clock, mut timer) = (Clock::new(), Timer::new());
        let mailbox = Mailbox::default();
        mailbox.hold(clock.now());
        assert_eq!(mailbox.put(1), Ok(()));
        mailbox.news_by(clock, &mut timer).await;
        assert!(!mailbox.is_held(clock.now()));
        assert_eq!(mailbox.take(Vec::new()), [1]);
    }

    #[test]
    fn a_second_hold_does_not_prolong_the_first() {
        let mailbox = Mailbox::<u8>::default();
        mailbox.hold(Time::ZERO);
        mailbox.hold(Time::ZERO + HOLD_MAX / 2);
        assert!(mailbox.is_held(Time::ZERO + HOLD_MAX / 2));
        assert!(!mailbox.is_held(Time::ZERO + HOLD_MAX));
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
