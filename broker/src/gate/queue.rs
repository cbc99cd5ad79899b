//! The events that wait for the driver.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    task::{Context, Poll, Waker},
};

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::{GateEvent, GateLimits};

/// The one way from the connections to the driver, in the order in which things happened.
///
/// It is bounded where it is filled: a connection reads only while it holds the turn, and the turn is given only while
/// there is room. Connections get the turn in the order in which they asked for it, so that none is starved when the
/// driver is the bottleneck. `Broken` and `Closed` need no turn: there is at most one of each for a connection, whose
/// place among `connections_max` is free again only when the driver has taken `Closed`.
#[derive(Debug)]
pub(super) struct Queue {
    events: RefCell<VecDeque<GateEvent>>,
    bytes: Cell<usize>,
    events_max: usize,
    bytes_max: usize,
    /// Its one permit is the turn.
    turn: Semaphore,
    /// There is room again. Only the holder of the turn waits for it.
    room: Notify,
    /// The driver, if it waits.
    driver: RefCell<Option<Waker>>,
}

impl Queue {
    pub(super) fn new(limits: &GateLimits) -> Queue {
        Queue {
            events: RefCell::default(),
            bytes: Cell::new(0),
            events_max: limits.queue_events_max,
            bytes_max: limits.queue_bytes_max,
            turn: Semaphore::new(1),
            room: Notify::new(),
            driver: RefCell::default(),
        }
    }

    /// Appends an event and wakes the driver.
    pub(super) fn push(&self, event: GateEvent) {
        self.bytes.set(self.bytes.get() + event.bytes());
        self.events.borrow_mut().push_back(event);
        if let Some(driver) = self.driver.borrow_mut().take() {
            driver.wake();
        }
    }

    /// The bytes of the messages that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Takes the oldest event.
    pub(super) fn pop(&self) -> Option<GateEvent> {
        let was_full = !self.has_room();
        let event = self.events.borrow_mut().pop_front()?;
        self.bytes.set(self.bytes.get() - event.bytes());
        if was_full && self.has_room() {
            self.room.notify_one();
        }
        Some(event)
    }

    /// As [`Queue::pop`]; without an event the caller is woken by the next one.
    pub(super) fn poll_pop(&self, context: &mut Context<'_>) -> Poll<GateEvent> {
        if let Some(event) = self.pop() {
            return Poll::Ready(event);
        }
        *self.driver.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }

    /// Whether a connection may still be read in this turn.
    pub(super) fn has_room(&self) -> bool {
        self.bytes.get() < self.bytes_max && self.events.borrow().len() < self.events_max
    }

    /// Waits for the turn to read, which lasts until the permit is dropped. The holder reads at once and without waiting
    /// for anything: all others wait for it.
    ///
    /// # Cancel safety
    /// A cancelled caller loses its place in the line and nothing else.
    pub(super) async fn turn(&self) -> SemaphorePermit<'_> {
        let turn = self.turn.acquire().await.expect("nothing closes this semaphore");
        while !self.has_room() {
            // A notification from before is kept by `Notify`, so none is missed; a stale one costs a look.
            self.room.notified().await;
        }
        turn
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Waker};

    use callboard_core::wire::ids::ConnectionId;

    use super::*;

    fn heard(number: u64) -> GateEvent {
        GateEvent::Activity { connection: ConnectionId(number) }
    }

    #[test]
    fn nobody_reads_while_the_queue_is_full_and_the_first_to_ask_reads_first() {
        let queue = Queue::new(&GateLimits { queue_events_max: 2, ..GateLimits::default() });
        let context = &mut Context::from_waker(Waker::noop());
        queue.push(heard(1));
        queue.push(heard(2));
        let (mut first, mut second) = (pin!(queue.turn()), pin!(queue.turn()));
        assert!(first.as_mut().poll(context).is_pending() && second.as_mut().poll(context).is_pending());
        assert!(queue.pop().is_some());
        assert!(second.as_mut().poll(context).is_pending());
        let Poll::Ready(turn) = first.as_mut().poll(context) else { panic!("the first has the turn") };
        assert!(second.as_mut().poll(context).is_pending());
        drop(turn);
        assert!(second.as_mut().poll(context).is_ready());
    }
}
