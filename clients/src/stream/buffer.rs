//! The buffer between the caller of a call with streams and the I/O thread.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use callboard_core::{client::Ticket, wire::streams::ItemCredit};

use crate::error::call_error::CallError;

/// The items, progress and outcome on their way to the caller of a call with streams, and the caller's credit. The windows of the
/// call's streams bound its size.
#[derive(Debug)]
pub(crate) struct StreamBuffer {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Items that arrived and were not read.
    items: VecDeque<Bytes>,
    /// Items that were read and not yet reported to the I/O thread.
    read: ItemCredit,
    /// Items that this side dropped in favour of newer ones.
    dropped_here: u64,
    /// Items that the handler's side dropped in favour of newer ones.
    dropped_remotely: u64,
    /// If true, the buffer keeps only the newest item.
    conflate: bool,
    /// The newest progress report, unless it was taken.
    progress: Option<Bytes>,
    /// What the caller may send.
    credit: ItemCredit,
    /// The caller has ended its items.
    send_ended: bool,
    /// The caller has dropped the call.
    abandoned: bool,
    /// The call has ended.
    completed: bool,
    outcome: Option<Result<Bytes, CallError>>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// What a reader of the buffer receives.
pub(crate) enum StreamEvent {
    /// The next item.
    Item(Bytes),
    /// The end of the call, after all items. Holds the outcome the first time.
    End(Option<Result<Bytes, CallError>>),
}

/// The end of a stream buffer that the I/O thread writes to. Dropping it without an outcome completes the call with an error.
#[derive(Debug)]
pub(crate) struct StreamSink {
    pub(crate) buffer: Arc<StreamBuffer>,
    /// The call's ticket, once the I/O thread has taken the call.
    pub(crate) ticket: Option<Ticket>,
}

/// The methods of the I/O thread.
impl StreamBuffer {
    /// Creates an empty buffer. With `conflate` it keeps only the newest item.
    pub(crate) fn new(conflate: bool) -> Arc<StreamBuffer> {
        Arc::new(StreamBuffer { state: Mutex::new(State { conflate, ..State::default() }) })
    }

    /// Adds an item that arrived. `dropped` is the number of items that the handler's side has dropped, if it conflates its items.
    /// Returns what to report as read: superseded items count as read.
    pub(crate) fn push(&self, item: Bytes, dropped: Option<u64>) -> Option<ItemCredit> {
        let mut state = self.state();
        if let Some(dropped) = dropped {
            state.dropped_remotely = dropped;
        }
        if state.conflate || dropped.is_some() {
            state.drop_superseded();
        }
        state.items.push_back(item);
        let read = state.take_read();
        wake(state, |state| &mut state.reader);
        read
    }

    /// Replaces the progress report.
    pub(crate) fn set_progress(&self, progress: Bytes) {
        let mut state = self.state();
        state.progress = Some(progress);
        wake(state, |state| &mut state.reader);
    }

    /// Adds credit for the caller's items.
    pub(crate) fn add_credit(&self, credit: ItemCredit) {
        let mut state = self.state();
        state.credit = state.credit.with(credit);
        wake(state, |state| &mut state.writer);
    }

    /// Completes the call. Only the first outcome counts.
    pub(crate) fn complete(&self, outcome: Result<Bytes, CallError>) {
        let mut state = self.state();
        if mem::replace(&mut state.completed, true) {
            return;
        }
        state.outcome = Some(outcome);
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Returns true if the caller has dropped the call.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.state().abandoned
    }

    /// Returns true if the caller has ended its items.
    pub(crate) fn is_send_ended(&self) -> bool {
        self.state().send_ended
    }
}

/// The methods of the caller.
impl StreamBuffer {
    /// Polls the next item, or the end. An item comes with what to report as read.
    pub(crate) fn poll_next(&self, context: &Context<'_>) -> Poll<(StreamEvent, Option<ItemCredit>)> {
        let mut state = self.state();
        if let Some(item) = state.items.pop_front() {
            state.read = state.read.with(ItemCredit::one(item.len() as u64));
            return Poll::Ready((StreamEvent::Item(item), state.take_read()));
        }
        if state.completed {
            return Poll::Ready((StreamEvent::End(state.outcome.take()), None));
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }

    /// Polls the next progress report.
    pub(crate) fn poll_progress(&self, context: &Context<'_>) -> Poll<Bytes> {
        let mut state = self.state();
        if let Some(progress) = state.progress.take() {
            return Poll::Ready(progress);
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }

    /// Polls for credit for an item of `bytes` bytes, and takes it. Returns false if the call has ended.
    pub(crate) fn poll_credit(&self, context: &Context<'_>, bytes: u64) -> Poll<bool> {
        let mut state = self.state();
        if state.completed {
            return Poll::Ready(false);
        }
        let credit = ItemCredit::one(bytes);
        if !state.credit.covers(credit) {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.credit = state.credit.without(credit);
        Poll::Ready(true)
    }

    /// Marks the caller's items as ended.
    pub(crate) fn end_send(&self) {
        self.state().send_ended = true;
    }

    /// Marks the call as dropped by its caller. Returns false if the call has already ended.
    pub(crate) fn abandon(&self) -> bool {
        let mut state = self.state();
        state.abandoned |= !state.completed;
        !state.completed
    }

    /// Drops all items and the outcome: nothing follows an item that could not be decoded.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        state.items.clear();
        state.outcome = None;
    }

    /// Returns the bytes of the items that arrived and were not read.
    pub(crate) fn unread_bytes(&self) -> u64 {
        self.state().items.iter().map(|item| item.len() as u64).sum()
    }

    /// Returns the number of items that were dropped in favour of newer ones, on both sides.
    pub(crate) fn dropped(&self) -> u64 {
        let state = self.state();
        state.dropped_here + state.dropped_remotely
    }

    /// Locks the state. Nothing panics while it holds the lock, so a poisoned lock still guards consistent state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Drops the unread items in favour of the one that arrives now.
    fn drop_superseded(&mut self) {
        for item in mem::take(&mut self.items) {
            self.dropped_here += 1;
            self.read = self.read.with(ItemCredit::one(item.len() as u64));
        }
    }

    /// Takes the reads to report to the I/O thread. It grants credit at half the window, so less is not worth a report.
    fn take_read(&mut self) -> Option<ItemCredit> {
        let window = ItemCredit::WINDOW;
        let half = self.read.items >= window.items / 2 || self.read.bytes >= window.bytes / 2;
        half.then(|| mem::take(&mut self.read))
    }
}

/// Unlocks the state, then wakes one of its wakers.
fn wake(mut state: MutexGuard<'_, State>, waker: impl FnOnce(&mut State) -> &mut Option<Waker>) {
    let waker = waker(&mut state).take();
    drop(state);
    waker.into_iter().for_each(Waker::wake);
}

impl Drop for StreamSink {
    fn drop(&mut self) {
        self.buffer.complete(Err(CallError::driver_lost()));
    }
}
