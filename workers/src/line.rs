//! What a handler with streams shares with the link's thread.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context as Task, Poll, Waker},
};

use bytes::Bytes;
use callboard_core::{
    body,
    wire::{
        limits::FAILURE_MESSAGE_BYTES_MAX,
        status::Failure,
        streams::{ItemCredit, Streams},
    },
    worker::{Job, JobId},
};
use callboard_transport::BatchQueue;

use crate::runner::Ended;

/// What a handler with streams tells the link's thread.
#[derive(Debug)]
pub(crate) enum Post {
    /// An item, for which there is room.
    Item { job: JobId, latest: Option<u64>, body: Bytes },
    /// So much was taken of what came.
    Read { job: JobId, room: ItemCredit },
    /// There is a word on progress.
    Progress(Arc<Line>),
}

/// The posts of all handlers. Bounded by the windows of their streams, and one word on progress each.
#[derive(Debug)]
pub(crate) struct Posts {
    posts: Mutex<Vec<Post>>,
    /// Where the link's thread looks for news.
    ended: Arc<BatchQueue<Ended>>,
}

/// The streams of one job.
#[doc(hidden)]
#[derive(Debug)]
pub struct Line {
    job: JobId,
    streams: Streams,
    state: Mutex<State>,
    posts: Arc<Posts>,
}

#[derive(Debug, Default)]
struct State {
    /// What came and was not taken.
    items: VecDeque<Bytes>,
    /// What was taken, and the link's thread was not told yet.
    read: ItemCredit,
    /// The caller said the end.
    ended: bool,
    /// What may be sent.
    room: ItemCredit,
    /// The job is over.
    over: bool,
    /// What the job ends with because an item did not fit.
    spoiled: Option<Failure>,
    /// The newest word on progress, unsent.
    progress: Option<Bytes>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// What there is for a handler that reads.
pub(crate) enum Came {
    /// The next item.
    Item(Bytes),
    /// There are no more.
    End,
    /// The call is over, and the caller had not said the end.
    Over,
}

impl Posts {
    pub(crate) fn new(ended: Arc<BatchQueue<Ended>>) -> Arc<Posts> {
        Arc::new(Posts { posts: Mutex::default(), ended })
    }

    /// All of them, in their order.
    pub(crate) fn take(&self) -> Vec<Post> {
        mem::take(&mut *self.posts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, post: Post) {
        let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        let first = posts.is_empty();
        posts.push(post);
        drop(posts);
        if first {
            self.ended.notify();
        }
    }
}

impl Line {
    /// That of a job, if it has streams or its caller wants to hear of progress.
    pub(crate) fn of(job: &Job, posts: &Arc<Posts>) -> Option<Arc<Line>> {
        (job.streams != Streams::NONE).then(|| {
            let (state, posts) = (Mutex::default(), Arc::clone(posts));
            Arc::new(Line { job: job.id, streams: job.streams, state, posts })
        })
    }

    pub(crate) fn job(&self) -> JobId {
        self.job
    }

    /// Nothing panics while it holds the lock, so a poisoned one still holds whole things.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is room for more to be sent.
    pub(crate) fn grant(&self, room: ItemCredit) {
        let mut state = self.state();
        state.room = state.room.with(room);
        wake(state, |state| &mut state.writer);
    }

    /// An item came.
    pub(crate) fn push(&self, item: Bytes) {
        let mut state = self.state();
        state.items.push_back(item);
        wake(state, |state| &mut state.reader);
    }

    /// The caller sends no more items.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        wake(state, |state| &mut state.reader);
    }

    /// An item did not fit: the job ends with this, whatever its handler makes of what it got before.
    pub(crate) fn spoil(&self, failure: Failure) {
        self.state().spoiled.get_or_insert(failure);
    }

    /// What the job ends with, if not with its handler's outcome.
    pub(crate) fn take_spoiled(&self) -> Option<Failure> {
        self.state().spoiled.take()
    }

    /// The job is over.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.over = true;
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// The next item, or the end.
    pub(crate) fn poll_next(&self, task: &Task<'_>) -> Poll<Came> {
        let mut state = self.state();
        if let Some(item) = state.items.pop_front() {
            state.read = state.read.with(ItemCredit::one(item.len() as u64));
            let read = state.take_read();
            drop(state);
            if let Some(room) = read {
                self.posts.push(Post::Read { job: self.job, room });
            }
            return Poll::Ready(Came::Item(item));
        }
        if state.ended {
            return Poll::Ready(Came::End);
        }
        if state.over {
            return Poll::Ready(Came::Over);
        }
        state.reader = Some(task.waker().clone());
        Poll::Pending
    }

    /// Bytes of items that came and were not taken.
    pub(crate) fn unread_bytes(&self) -> u64 {
        self.state().items.iter().map(|item| item.len() as u64).sum()
    }

    /// Sends an item as soon as there is room for it. What is sent when the job is over is dropped.
    pub(crate) fn poll_send(&self, task: &Task<'_>, latest: Option<u64>, item: &Bytes) -> Poll<()> {
        let mut state = self.state();
        let size = ItemCredit::one(item.len() as u64);
        if !state.over && !state.room.holds(size) {
            state.writer = Some(task.waker().clone());
            return Poll::Pending;
        }
        state.room = state.room.without(size);
        drop(state);
        self.posts.push(Post::Item { job: self.job, latest, body: item.clone() });
        Poll::Ready(())
    }

    /// The handler tells how far it is, if somebody wants to know. The newest word counts.
    pub(crate) fn tell_progress(self: &Arc<Self>, done: u64, total: Option<u64>, message: &str) {
        if !self.streams.progress {
            return;
        }
        let message = &message[..message.floor_char_boundary(FAILURE_MESSAGE_BYTES_MAX)];
        let Ok(word) = body::encode(&(done, total, message)) else { return };
        let before = self.state().progress.replace(word);
        if before.is_none() {
            self.posts.push(Post::Progress(Arc::clone(self)));
        }
    }

    pub(crate) fn take_progress(&self) -> Option<Bytes> {
        self.state().progress.take()
    }
}

impl State {
    /// What the link's thread is to be told of what was read: it grants at half the window, so it need not hear of less.
    fn take_read(&mut self) -> Option<ItemCredit> {
        let half = self.read.items >= ItemCredit::WINDOW.items / 2 || self.read.bytes >= ItemCredit::WINDOW.bytes / 2;
        half.then(|| mem::take(&mut self.read))
    }
}

/// Ends the hold of a lock, and wakes who waits.
fn wake(mut state: MutexGuard<'_, State>, who: impl FnOnce(&mut State) -> &mut Option<Waker>) {
    let waker = who(&mut state).take();
    drop(state);
    waker.into_iter().for_each(Waker::wake);
}
