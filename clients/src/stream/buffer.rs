//! The buffer between the caller of a call with streams and the I/O thread.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use callboard_core::{
    client::Ticket,
    wire::{
        item_batch::{ItemBatch, ItemCollector},
        streams::ItemCredit,
    },
};

use crate::error::call_error::CallError;

/// The number of unread batches that keep the frames that they arrived in. Further ones are copied out: a frame has up to 64 KiB, and
/// would stay in memory for one small item of a stream that is not read.
const ATTACHED_BATCHES_MAX: usize = 64;

/// The items, progress and outcome on their way to the caller of a call with streams, and the caller's credit. The windows of the
/// call's streams bound its size.
#[derive(Debug)]
pub(crate) struct StreamBuffer {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Items that arrived and that the reader has not taken.
    arrived: VecDeque<ItemBatch>,
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
    /// The caller's items that the I/O thread has not taken.
    outgoing: ItemCollector,
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

/// What the reader takes from the buffer.
pub(crate) enum StreamEvent {
    /// The next items.
    Items(ItemBatch),
    /// The end of the call, after all items. Holds the outcome the first time.
    End(Option<Result<Bytes, CallError>>),
}

/// The result of sending an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The item is the first since the I/O thread took items: the thread must be notified.
    First,
    /// The I/O thread takes the item together with earlier ones.
    Collected,
    /// The call has ended, and the item is dropped.
    Closed,
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

    /// Adds items that arrived. `dropped` is the number of items that the handler's side has dropped, if it conflates its items.
    /// Returns what to report as read: superseded items count as read.
    pub(crate) fn push(&self, mut batch: ItemBatch, dropped: Option<u64>) -> Option<ItemCredit> {
        let mut state = self.state();
        if let Some(dropped) = dropped {
            state.dropped_remotely = dropped;
        }
        if state.conflate || dropped.is_some() {
            state.drop_superseded(&mut batch);
        }
        let is_behind = state.arrived.len() >= ATTACHED_BATCHES_MAX;
        state.arrived.push_back(if is_behind { batch.detached() } else { batch });
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

    /// Takes the caller's items.
    pub(crate) fn take_outgoing(&self) -> Vec<ItemBatch> {
        self.state().outgoing.take()
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
    /// Polls the next items, or the end.
    pub(crate) fn poll_next(&self, context: &Context<'_>) -> Poll<StreamEvent> {
        let mut state = self.state();
        if let Some(batch) = state.arrived.pop_front() {
            return Poll::Ready(StreamEvent::Items(batch));
        }
        if state.completed {
            return Poll::Ready(StreamEvent::End(state.outcome.take()));
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }

    /// Counts items as read. Returns what to report as read.
    pub(crate) fn record_read(&self, credit: ItemCredit) -> Option<ItemCredit> {
        let mut state = self.state();
        state.read = state.read.with(credit);
        state.take_read()
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

    /// Adds an item to the caller's items as soon as there is credit for it.
    pub(crate) fn poll_send(&self, context: &Context<'_>, item: &Bytes) -> Poll<Sent> {
        let mut state = self.state();
        if state.completed {
            return Poll::Ready(Sent::Closed);
        }
        let credit = ItemCredit::one(item.len() as u64);
        if !state.credit.covers(credit) {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.credit = state.credit.without(credit);
        Poll::Ready(if state.outgoing.push(item.clone()) { Sent::First } else { Sent::Collected })
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
        state.arrived.clear();
        state.outcome = None;
    }

    /// Returns the bytes of the items that the reader has not taken.
    pub(crate) fn arrived_bytes(&self) -> u64 {
        self.state().arrived.iter().map(|batch| batch.credit().bytes).sum()
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
    /// Drops the unread items in favour of the last one that arrives now.
    fn drop_superseded(&mut self, newest: &mut ItemBatch) {
        let unread = self.arrived.drain(..).map(|batch| batch.credit());
        let dropped = unread.fold(newest.keep_last(), ItemCredit::with);
        self.dropped_here += u64::from(dropped.items);
        self.read = self.read.with(dropped);
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn item(byte: u8) -> Bytes {
        vec![byte].into()
    }

    /// Returns a batch of integers below 24, whose encoding is one byte each.
    fn batch(numbers: impl IntoIterator<Item = u8>) -> ItemBatch {
        let body: Vec<u8> = numbers.into_iter().collect();
        ItemBatch::new(body.len() as u32, body.into())
    }

    fn next(buffer: &StreamBuffer) -> Option<ItemBatch> {
        match buffer.poll_next(&Context::from_waker(Waker::noop())) {
            Poll::Ready(StreamEvent::Items(batch)) => Some(batch),
            _ => None,
        }
    }

    fn send(buffer: &StreamBuffer, byte: u8) -> Poll<Sent> {
        buffer.poll_send(&Context::from_waker(Waker::noop()), &item(byte))
    }

    #[test]
    fn items_sent_between_two_turns_share_a_batch_and_one_notification() {
        let buffer = StreamBuffer::new(false);
        assert_eq!(send(&buffer, 1), Poll::Pending, "there is no credit");
        buffer.add_credit(ItemCredit { items: 4, bytes: 100 });
        assert_eq!(
            [1, 2, 3].map(|byte| send(&buffer, byte)),
            [Sent::First, Sent::Collected, Sent::Collected].map(Poll::Ready)
        );
        assert_eq!(buffer.take_outgoing(), [batch([1, 2, 3])]);
        assert_eq!(send(&buffer, 4), Poll::Ready(Sent::First));
        assert_eq!(send(&buffer, 5), Poll::Pending, "the credit is used up");
        assert_eq!(buffer.take_outgoing(), [batch([4])]);
        buffer.complete(Ok(Bytes::new()));
        assert_eq!(send(&buffer, 6), Poll::Ready(Sent::Closed));
        assert!(buffer.take_outgoing().is_empty());
    }

    #[test]
    fn a_conflating_reader_gets_the_last_item_and_the_others_count_as_read() {
        let buffer = StreamBuffer::new(true);
        buffer.push(batch([1, 2, 3]), None);
        buffer.push(batch([4, 5]), None);
        assert_eq!(next(&buffer), Some(batch([5])));
        assert_eq!(next(&buffer), None);
        assert_eq!(buffer.dropped(), 4);
        let half = ItemCredit::WINDOW.items / 2 - 4;
        let reported = buffer.record_read(ItemCredit { items: half, bytes: 0 });
        assert_eq!(reported, Some(ItemCredit { items: half + 4, bytes: 4 }));
    }

    #[test]
    fn a_writer_that_conflates_supersedes_unread_batches() {
        let buffer = StreamBuffer::new(false);
        buffer.push(batch([1, 2]), Some(0));
        buffer.push(batch([3, 4]), Some(7));
        assert_eq!(next(&buffer), Some(batch([4])));
        assert_eq!(buffer.dropped(), 7 + 3);
    }

    #[test]
    fn batches_of_a_reader_that_is_behind_do_not_keep_their_frames() {
        let buffer = StreamBuffer::new(false);
        let frame = Bytes::from(vec![1; 2 * ATTACHED_BATCHES_MAX]);
        for at in 0..frame.len() {
            buffer.push(ItemBatch::one(frame.slice(at..=at)), None);
        }
        for at in 0..frame.len() {
            let is_slice = next(&buffer).unwrap().body().as_ptr() == frame[at..].as_ptr();
            assert_eq!(is_slice, at < ATTACHED_BATCHES_MAX, "batch {at}");
        }
    }
}
