//! What a call with streams shares between its caller and the link thread.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use callboard_core::{client::Ticket, time::Time, wire::streams::ItemCredit};
use tokio::task::AbortHandle;

use crate::{
    call_error::CallError,
    request::Request,
    responder::Responder,
    room::NoRoom,
    shared::{Command, Shared},
};

/// What a caller of a call with streams tells the link thread.
#[derive(Debug)]
pub(crate) enum StreamPost {
    /// An item, for which there is room.
    Item(Ticket, Bytes),
    /// No more items.
    End(Ticket),
    /// So much was taken of what came.
    Read(Ticket, ItemCredit),
}

/// Items on their way between a caller and the link thread, and how the call ended. Bounded by the windows of the call's streams.
#[derive(Debug)]
pub(crate) struct Pipe {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What came and was not taken.
    items: VecDeque<Bytes>,
    /// What was taken, and the link thread was not told yet.
    read: ItemCredit,
    /// Items that were superseded: by our side, and by the handler's.
    dropped_here: u64,
    dropped_there: u64,
    /// Only the newest item is wanted.
    latest: bool,
    /// The newest word on progress, not taken yet.
    progress: Option<Bytes>,
    /// What may be sent.
    room: ItemCredit,
    /// The end was said.
    said_end: bool,
    /// The caller has gone.
    abandoned: bool,
    over: bool,
    outcome: Option<Result<Bytes, CallError>>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// What there is for a reader.
pub(crate) enum Came {
    /// The next item.
    Item(Bytes),
    /// The call's end, after all items. Its outcome, the first time.
    End(Option<Result<Bytes, CallError>>),
}

/// A call with streams, in its caller's hands.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) pipe: Arc<Pipe>,
    shared: Arc<Shared>,
    /// None if the call could not be made: its outcome is there.
    ticket: Option<Ticket>,
    /// The call waits for a place in the client's queue, on the link thread.
    queueing: Option<AbortHandle>,
}

/// The link thread's end of a pipe. Dropped without an outcome, it tells the caller that there will be none.
#[derive(Debug)]
pub(crate) struct PipeEnd {
    pub(crate) pipe: Arc<Pipe>,
    /// The call's, once the link thread has taken it.
    pub(crate) ticket: Option<Ticket>,
}

impl Pipe {
    pub(crate) fn new(latest: bool) -> Arc<Pipe> {
        Arc::new(Pipe { state: Mutex::new(State { latest, ..State::default() }) })
    }

    /// Nothing panics while it holds the lock, so a poisoned one still holds whole things.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An item came. Returns what was superseded by it: that is as good as read.
    pub(crate) fn push(&self, item: Bytes, latest: Option<u64>) -> Option<ItemCredit> {
        let mut state = self.state();
        if let Some(dropped) = latest {
            state.dropped_there = dropped;
        }
        if state.latest || latest.is_some() {
            state.supersede();
        }
        state.items.push_back(item);
        let read = state.take_read();
        wake(state, |state| &mut state.reader);
        read
    }

    /// A word on progress came.
    pub(crate) fn tell_progress(&self, word: Bytes) {
        let mut state = self.state();
        state.progress = Some(word);
        wake(state, |state| &mut state.reader);
    }

    /// There is room for more to be sent.
    pub(crate) fn grant(&self, room: ItemCredit) {
        let mut state = self.state();
        state.room = state.room.with(room);
        wake(state, |state| &mut state.writer);
    }

    /// The call has ended. Only the first end counts.
    pub(crate) fn end(&self, outcome: Result<Bytes, CallError>) {
        let mut state = self.state();
        if std::mem::replace(&mut state.over, true) {
            return;
        }
        state.outcome = Some(outcome);
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Whether the caller has gone before the link thread took the call.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.state().abandoned
    }

    /// Whether the caller said the end.
    pub(crate) fn has_said_end(&self) -> bool {
        self.state().said_end
    }

    fn poll_progress(&self, context: &Context<'_>) -> Poll<Bytes> {
        let mut state = self.state();
        if let Some(word) = state.progress.take() {
            return Poll::Ready(word);
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

impl State {
    /// Drops what was not taken, in favour of what comes now.
    fn supersede(&mut self) {
        for item in std::mem::take(&mut self.items) {
            self.dropped_here += 1;
            self.read = self.read.with(ItemCredit::one(item.len() as u64));
        }
    }

    /// What the link thread is to be told of what was read: it grants at half the window, so it need not hear of less.
    fn take_read(&mut self) -> Option<ItemCredit> {
        let half = self.read.items >= ItemCredit::WINDOW.items / 2 || self.read.bytes >= ItemCredit::WINDOW.bytes / 2;
        half.then(|| std::mem::take(&mut self.read))
    }
}

/// Ends the hold of a lock, and wakes who waits.
fn wake(mut state: MutexGuard<'_, State>, who: impl FnOnce(&mut State) -> &mut Option<Waker>) {
    let waker = who(&mut state).take();
    drop(state);
    waker.into_iter().for_each(Waker::wake);
}

impl Stretch {
    /// Makes the call, at once. If it cannot be made, that is its outcome. Where the client's queue is full, it waits for a place there,
    /// as other calls do, but not in its caller's hands, who may have something else to await.
    pub(crate) fn begin(shared: Arc<Shared>, request: Result<Request, CallError>, latest: bool) -> Stretch {
        let mut stretch = Stretch { pipe: Pipe::new(latest), shared, ticket: None, queueing: None };
        match request {
            Ok(request) => stretch.make(request.begun()),
            Err(error) => stretch.pipe.end(Err(error)),
        }
        stretch
    }

    fn make(&mut self, request: Request) {
        let (ticket, made) = (self.shared.ticket(), self.shared.clock.now());
        let end = PipeEnd { pipe: Arc::clone(&self.pipe), ticket: None };
        self.ticket = Some(ticket);
        match self.shared.try_queue() {
            Ok(()) => send(&self.shared, ticket, request, made, end),
            Err(NoRoom::Full) => {
                let queueing = queue(Arc::clone(&self.shared), ticket, request, made, end);
                self.queueing = Some(self.shared.link_thread.spawn(queueing).abort_handle());
            }
            Err(reason) => self.pipe.end(Err(self.shared.no_queue(reason, None))),
        }
    }

    /// The same call in another hand.
    pub(crate) fn share(&self) -> Stretch {
        let (pipe, shared) = (Arc::clone(&self.pipe), Arc::clone(&self.shared));
        Stretch { pipe, shared, ticket: self.ticket, queueing: self.queueing.clone() }
    }

    /// The next item, or the end.
    pub(crate) fn poll_next(&self, context: &Context<'_>) -> Poll<Came> {
        let mut state = self.pipe.state();
        if let Some(item) = state.items.pop_front() {
            state.read = state.read.with(ItemCredit::one(item.len() as u64));
            let read = state.take_read();
            drop(state);
            self.post_read(read);
            return Poll::Ready(Came::Item(item));
        }
        if state.over {
            return Poll::Ready(Came::End(state.outcome.take()));
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }

    /// The next word on progress, if one waits.
    pub(crate) fn poll_progress(&self, context: &Context<'_>) -> Poll<Bytes> {
        self.pipe.poll_progress(context)
    }

    /// Sends an item as soon as there is room for it. False if the call is over.
    pub(crate) fn poll_send(&self, context: &Context<'_>, item: &Bytes) -> Poll<bool> {
        let mut state = self.pipe.state();
        let size = ItemCredit::one(item.len() as u64);
        if state.over {
            return Poll::Ready(false);
        }
        if !state.room.holds(size) {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.room = state.room.without(size);
        drop(state);
        self.tell(|ticket| Command::Stream(StreamPost::Item(ticket, item.clone())));
        Poll::Ready(true)
    }

    /// Says that no more items come.
    pub(crate) fn end(&self) {
        self.pipe.state().said_end = true;
        self.tell(|ticket| Command::Stream(StreamPost::End(ticket)));
    }

    /// Gives the call up, if it is not over; what it ends with for who still waits.
    pub(crate) fn cancel(&self, error: impl FnOnce() -> CallError) {
        let mut state = self.pipe.state();
        if state.over {
            return;
        }
        state.abandoned = true;
        drop(state);
        self.pipe.end(Err(error()));
        if let Some(queueing) = &self.queueing {
            queueing.abort();
        }
        self.tell(Command::Cancel);
    }

    /// Nothing is to come after an item that could not be read.
    pub(crate) fn forget(&self) {
        let mut state = self.pipe.state();
        state.items.clear();
        state.outcome = None;
    }

    /// Bytes of items that came and were not taken.
    pub(crate) fn unread_bytes(&self) -> u64 {
        self.pipe.state().items.iter().map(|item| item.len() as u64).sum()
    }

    /// Items that were dropped in favour of newer ones, here and at the handler's side.
    pub(crate) fn dropped(&self) -> u64 {
        let state = self.pipe.state();
        state.dropped_here + state.dropped_there
    }

    fn post_read(&self, read: Option<ItemCredit>) {
        if let Some(room) = read {
            self.tell(|ticket| Command::Stream(StreamPost::Read(ticket, room)));
        }
    }

    /// Tells the link thread, if there is a call. An error is a link thread that has ended: so has the call.
    fn tell(&self, command: impl FnOnce(Ticket) -> Command) {
        if let Some(ticket) = self.ticket {
            let _ = self.shared.lines.commands.push(command(ticket));
        }
    }
}

/// Sends a call once there is a place in the queue, or ends it when its time is up.
///
/// # Cancel safety
/// Dropping the future before it is ready gives up the place in the line.
async fn queue(shared: Arc<Shared>, ticket: Ticket, request: Request, made: Time, end: PipeEnd) {
    match shared.queue(request.deadline(made)).await {
        Ok(()) => send(&shared, ticket, request, made, end),
        Err(reason) => end.pipe.end(Err(shared.no_queue(reason, request.timeout))),
    }
}

/// Sends a call that has its place in the queue.
fn send(shared: &Shared, ticket: Ticket, request: Request, made: Time, end: PipeEnd) {
    let pipe = Arc::clone(&end.pipe);
    if let Err(responder) = shared.send_as(ticket, request, made, Responder::Stream(end)) {
        // Before the responder is dropped, which would say less.
        pipe.end(Err(CallError::closed()));
        drop(responder);
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        self.pipe.end(Err(CallError::lost()));
    }
}
