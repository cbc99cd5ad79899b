//! Futures that run in the program's polls: how a polled client has streams, and calls of stubs.

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
};

use futures::{Stream, StreamExt as _};
use slab::Slab;

use super::{
    Pending,
    inbox::{Arrival, Inbox},
};
use crate::CallError;

/// Items whose callbacks run in one poll, before others have their turn and the program its own: half of what may wait.
const ITEMS_A_TURN: usize = 32;

/// A future that runs when the program polls. Not `Send`: it stays on the thread that gave it.
pub(super) struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    nudge: Arc<Nudge>,
}

/// Puts a task into the inbox when it can go on; once, however often it is told.
pub(super) struct Nudge {
    inbox: Arc<Inbox>,
    key: usize,
    is_in: AtomicBool,
}

/// A callback that is told an outcome: CANCELLED, if the client is dropped before there is one.
pub(super) struct Once<T, F: From<CallError>, C: FnOnce(Result<T, F>)>(Option<C>, Outcome<T, F>);

/// A callback that is told items and their end: CANCELLED, if the client is dropped before there is one.
pub(super) struct Each<T, F: From<CallError>, C: FnMut(Option<Result<T, F>>)>(Option<C>, Outcome<T, F>);

type Outcome<T, F> = std::marker::PhantomData<fn(T, F)>;

impl Nudge {
    pub(super) fn new(inbox: &Arc<Inbox>, key: usize) -> Arc<Nudge> {
        Arc::new(Nudge { inbox: Arc::clone(inbox), key, is_in: AtomicBool::new(false) })
    }
}

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        if !self.is_in.swap(true, Ordering::AcqRel) {
            self.inbox.put(Arrival::Task(self.key));
        }
    }
}

impl Task {
    pub(super) fn new(future: impl Future<Output = ()> + 'static, nudge: Arc<Nudge>) -> Task {
        Task { future: Box::pin(future), nudge }
    }

    fn poll(&mut self) -> Poll<()> {
        let waker = Waker::from(Arc::clone(&self.nudge));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

/// Runs the task of this number up to its next pause, if there is one. Nothing is borrowed meanwhile: it may make calls, and poll.
pub(super) fn run(pending: &RefCell<Slab<Pending>>, key: usize) {
    let mut task = match pending.borrow_mut().get_mut(key) {
        Some(Pending::Running { again }) => {
            // It polls the client itself.
            *again = true;
            return;
        }
        Some(place @ Pending::Task(_)) => match std::mem::replace(place, Pending::Running { again: false }) {
            Pending::Task(task) => task,
            _ => unreachable!("it was looked at"),
        },
        // A word too late: the number is another's by now.
        Some(Pending::Callback(_)) | None => return,
    };
    // What comes from here on puts it in again.
    task.nudge.is_in.store(false, Ordering::Release);
    let mut seat = Seat { pending, key, task: None };
    if task.poll().is_pending() {
        seat.task = Some(task);
    }
}

/// Where a running task belongs: it goes back there, or, ended or panicked, leaves it.
struct Seat<'a> {
    pending: &'a RefCell<Slab<Pending>>,
    key: usize,
    task: Option<Task>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut pending = self.pending.borrow_mut();
        let Some(task) = self.task.take() else {
            drop(pending.remove(self.key));
            return;
        };
        let nudge = Arc::clone(&task.nudge);
        let was = std::mem::replace(&mut pending[self.key], Pending::Task(task));
        if matches!(was, Pending::Running { again: true }) {
            nudge.wake();
        }
    }
}

impl<T, F: From<CallError>, C: FnOnce(Result<T, F>)> Once<T, F, C> {
    pub(super) fn new(callback: C) -> Self {
        Once(Some(callback), Outcome::default())
    }

    pub(super) fn tell(mut self, outcome: Result<T, F>) {
        if let Some(callback) = self.0.take() {
            callback(outcome);
        }
    }
}

impl<T, F: From<CallError>, C: FnMut(Option<Result<T, F>>)> Each<T, F, C> {
    pub(super) fn new(callback: C) -> Self {
        Each(Some(callback), Outcome::default())
    }

    /// Tells all items of a stream, and its end.
    pub(super) async fn tell(mut self, mut items: impl Stream<Item = Result<T, F>> + Unpin) {
        for told in 1_usize.. {
            let item = items.next().await;
            let Some(callback) = &mut self.0 else { return };
            if matches!(item, Some(Ok(_))) {
                callback(item);
            } else {
                // First out of reach: should it panic, it has heard the end all the same.
                if let Some(mut callback) = self.0.take() {
                    callback(item);
                }
                return;
            }
            if told.is_multiple_of(ITEMS_A_TURN) {
                give_way().await;
            }
        }
    }
}

/// Lets others have their turn.
async fn give_way() {
    let mut gave = false;
    poll_fn(|context| {
        if std::mem::replace(&mut gave, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl<T, F: From<CallError>, C: FnOnce(Result<T, F>)> Drop for Once<T, F, C> {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.0.take().into_iter().for_each(|callback| callback(Err(CallError::abandoned().into())));
        }
    }
}

impl<T, F: From<CallError>, C: FnMut(Option<Result<T, F>>)> Drop for Each<T, F, C> {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.0.take().into_iter().for_each(|mut callback| callback(Some(Err(CallError::abandoned().into()))));
        }
    }
}
