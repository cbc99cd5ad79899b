//! The channel between a handler with streams and the I/O thread.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context as TaskContext, Poll, Waker},
};

use bytes::Bytes;
use callboard_core::{
    body,
    wire::{
        item_batch::{ItemBatch, ItemCollector},
        limits::FAILURE_MESSAGE_BYTES_MAX,
        status::Failure,
        streams::{ItemCredit, Streams},
    },
    worker::{Job, JobId},
};
use callboard_transport::BatchQueue;

use crate::outcome::Completion;

/// The number of received batches that keep the frames that they arrived in. Further ones are copied out: a frame has up to 64 KiB, and
/// would stay in memory for one small item of a stream that is not read.
const ATTACHED_BATCHES_MAX: usize = 64;

/// A message from a handler with streams to the I/O thread.
#[derive(Debug)]
pub(crate) enum StreamCommand {
    /// Send the items that the channel has collected.
    Items(Arc<StreamChannel>),
    /// The handler has consumed this many received items and bytes.
    Consumed { job: JobId, credit: ItemCredit },
    /// The channel has a new progress report.
    Progress(Arc<StreamChannel>),
}

/// The commands of all handlers. A job has at most one for its items and one for its progress report, besides what it has consumed.
#[derive(Debug)]
pub(crate) struct StreamCommands {
    commands: Mutex<Vec<StreamCommand>>,
    /// The queue whose notification wakes the I/O thread.
    completions: Arc<BatchQueue<Completion>>,
}

/// The streams of one job.
#[doc(hidden)]
#[derive(Debug)]
pub struct StreamChannel {
    job: JobId,
    streams: Streams,
    state: Mutex<ChannelState>,
    commands: Arc<StreamCommands>,
}

#[derive(Debug, Default)]
struct ChannelState {
    /// Received items that the handler has not taken.
    received: VecDeque<ItemBatch>,
    /// Consumed items that were not reported to the I/O thread yet.
    consumed: ItemCredit,
    /// The caller has ended its stream.
    ended: bool,
    /// The credit for items to the caller.
    send_credit: ItemCredit,
    /// Items to the caller that the I/O thread has not taken.
    outgoing: ItemCollector,
    /// How many items the handler has dropped in favour of newer ones, if it conflates its items.
    dropped: Option<u64>,
    /// The job is over.
    closed: bool,
    /// The failure that replaces the handler's outcome, because an item was invalid.
    abort_failure: Option<Failure>,
    /// The newest progress report that is not sent yet.
    progress: Option<Bytes>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The result of a read from the channel.
pub(crate) enum Received {
    /// The next items.
    Items(ItemBatch),
    /// The caller has ended its stream.
    End,
    /// The job is over, and the caller had not ended its stream.
    Closed,
}

impl StreamCommands {
    pub(crate) fn new(completions: Arc<BatchQueue<Completion>>) -> Arc<StreamCommands> {
        Arc::new(StreamCommands { commands: Mutex::default(), completions })
    }

    /// Takes all commands, in their order.
    pub(crate) fn take(&self) -> Vec<StreamCommand> {
        mem::take(&mut *self.commands.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, command: StreamCommand) {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let first = commands.is_empty();
        commands.push(command);
        drop(commands);
        if first {
            self.completions.notify();
        }
    }
}

impl StreamChannel {
    /// Creates the channel of a job that has streams, or whose caller requested progress reports.
    pub(crate) fn for_job(job: &Job, commands: &Arc<StreamCommands>) -> Option<Arc<StreamChannel>> {
        (job.streams != Streams::NONE).then(|| {
            let (state, commands) = (Mutex::default(), Arc::clone(commands));
            Arc::new(StreamChannel { job: job.id, streams: job.streams, state, commands })
        })
    }

    pub(crate) fn job(&self) -> JobId {
        self.job
    }

    /// Locks the state. No code panics while it holds the lock, so the state is consistent even if the lock is poisoned.
    fn state(&self) -> MutexGuard<'_, ChannelState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds credit for items to the caller.
    pub(crate) fn grant(&self, credit: ItemCredit) {
        let mut state = self.state();
        state.send_credit = state.send_credit.with(credit);
        unlock_and_wake(state, |state| &mut state.writer);
    }

    /// Adds received items.
    pub(crate) fn push(&self, batch: ItemBatch) {
        let mut state = self.state();
        let is_behind = state.received.len() >= ATTACHED_BATCHES_MAX;
        state.received.push_back(if is_behind { batch.detached() } else { batch });
        unlock_and_wake(state, |state| &mut state.reader);
    }

    /// Records that the caller has ended its stream.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        unlock_and_wake(state, |state| &mut state.reader);
    }

    /// Sets the failure that replaces the handler's outcome, because an item was invalid. The first failure counts.
    pub(crate) fn abort(&self, failure: Failure) {
        self.state().abort_failure.get_or_insert(failure);
    }

    pub(crate) fn take_abort_failure(&self) -> Option<Failure> {
        self.state().abort_failure.take()
    }

    /// Closes the channel at the end of the job.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Takes the next received items, or the end. [`StreamChannel::record_consumed`] must follow when the items are consumed.
    pub(crate) fn poll_next(&self, task: &TaskContext<'_>) -> Poll<Received> {
        self.poll_received(task, VecDeque::pop_front)
    }

    /// As [`StreamChannel::poll_next`], but takes one item at a time, for readers that share the channel.
    pub(crate) fn poll_next_item(&self, task: &TaskContext<'_>) -> Poll<Received> {
        self.poll_received(task, |received| {
            let first = received.front_mut()?;
            let item = first.take_first()?;
            if first.items() == 0 {
                received.pop_front();
            }
            Some(ItemBatch::one(item))
        })
    }

    fn poll_received(
        &self,
        task: &TaskContext<'_>,
        take: impl FnOnce(&mut VecDeque<ItemBatch>) -> Option<ItemBatch>,
    ) -> Poll<Received> {
        let mut state = self.state();
        if let Some(batch) = take(&mut state.received) {
            return Poll::Ready(Received::Items(batch));
        }
        if state.ended {
            return Poll::Ready(Received::End);
        }
        if state.closed {
            return Poll::Ready(Received::Closed);
        }
        state.reader = Some(task.waker().clone());
        Poll::Pending
    }

    /// Records that the handler has consumed items.
    pub(crate) fn record_consumed(&self, credit: ItemCredit) {
        let mut state = self.state();
        state.consumed = state.consumed.with(credit);
        let consumed = state.take_consumed();
        drop(state);
        if let Some(credit) = consumed {
            self.commands.push(StreamCommand::Consumed { job: self.job, credit });
        }
    }

    /// Returns the total size of the received items that the handler has not taken.
    pub(crate) fn received_bytes(&self) -> u64 {
        self.state().received.iter().map(|batch| batch.credit().bytes).sum()
    }

    /// Sends an item when there is credit for it. After the end of the job, the item is dropped.
    pub(crate) fn poll_send(self: &Arc<Self>, task: &TaskContext<'_>, dropped: Option<u64>, item: &Bytes) -> Poll<()> {
        let mut state = self.state();
        if state.closed {
            return Poll::Ready(());
        }
        let size = ItemCredit::one(item.len() as u64);
        if !state.send_credit.covers(size) {
            state.writer = Some(task.waker().clone());
            return Poll::Pending;
        }
        state.send_credit = state.send_credit.without(size);
        state.dropped = dropped;
        let first = state.outgoing.push(item.clone());
        drop(state);
        if first {
            self.commands.push(StreamCommand::Items(Arc::clone(self)));
        }
        Poll::Ready(())
    }

    /// Takes the items to the caller, and how many the handler has dropped, if it conflates its items.
    pub(crate) fn take_outgoing(&self) -> (Vec<ItemBatch>, Option<u64>) {
        let mut state = self.state();
        (state.outgoing.take(), state.dropped)
    }

    /// Reports the handler's progress if the caller requested that. A newer report replaces one that is not sent yet.
    pub(crate) fn report_progress(self: &Arc<Self>, done: u64, total: Option<u64>, message: &str) {
        if !self.streams.progress {
            return;
        }
        let message = &message[..message.floor_char_boundary(FAILURE_MESSAGE_BYTES_MAX)];
        let Ok(report) = body::encode(&(done, total, message)) else { return };
        let previous = self.state().progress.replace(report);
        if previous.is_none() {
            self.commands.push(StreamCommand::Progress(Arc::clone(self)));
        }
    }

    pub(crate) fn take_progress(&self) -> Option<Bytes> {
        self.state().progress.take()
    }
}

impl ChannelState {
    /// Returns the consumed items and bytes to report. The worker grants the caller new credit at half of the window, so smaller amounts
    /// are not reported.
    fn take_consumed(&mut self) -> Option<ItemCredit> {
        let consumed = self.consumed;
        let half = consumed.items >= ItemCredit::WINDOW.items / 2 || consumed.bytes >= ItemCredit::WINDOW.bytes / 2;
        half.then(|| mem::take(&mut self.consumed))
    }
}

/// Unlocks the state, then wakes the selected task.
fn unlock_and_wake(
    mut state: MutexGuard<'_, ChannelState>,
    select: impl FnOnce(&mut ChannelState) -> &mut Option<Waker>,
) {
    let waker = select(&mut state).take();
    drop(state);
    waker.into_iter().for_each(Waker::wake);
}
