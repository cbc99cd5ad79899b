//! The events that wait for the driver.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    task::{Context, Poll, Waker},
};

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::{GateEvent, GateLimits};

/// The queue of events from the connections to the driver, in the order in which they happened.
///
/// It is bounded on the sending side: a connection reads only while it holds the turn, and gets the turn only while the queue has
/// capacity. Connections get the turn in the order in which they asked for it, so that none starves when the driver is the bottleneck.
/// `ProtocolViolation` and `Closed` need no turn: there is at most one of each for a connection, and the connection counts in
/// `connections_max` until the driver has taken `Closed`.
#[derive(Debug)]
pub(super) struct EventQueue {
    events: RefCell<VecDeque<GateEvent>>,
    bytes: Cell<usize>,
    envelopes: Cell<usize>,
    envelopes_max: usize,
    bytes_max: usize,
    /// A semaphore whose one permit is the turn to read.
    turn: Semaphore,
    /// Notified when the queue has capacity again. Only the holder of the turn waits for it.
    room: Notify,
    /// Wakes the driver, if it waits.
    driver: RefCell<Option<Waker>>,
}

impl EventQueue {
    pub(super) fn new(limits: &GateLimits) -> EventQueue {
        EventQueue {
            events: RefCell::default(),
            bytes: Cell::new(0),
            envelopes: Cell::new(0),
            envelopes_max: limits.queue_envelopes_max,
            bytes_max: limits.queue_bytes_max,
            turn: Semaphore::new(1),
            room: Notify::new(),
            driver: RefCell::default(),
        }
    }

    /// Appends an event and wakes the driver.
    pub(super) fn push(&self, event: GateEvent) {
        self.bytes.set(self.bytes.get() + event.bytes());
        self.envelopes.set(self.envelopes.get() + event.envelopes());
        self.events.borrow_mut().push_back(event);
        if let Some(driver) = self.driver.borrow_mut().take() {
            driver.wake();
        }
    }

    /// Returns the bytes of the messages that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Takes the oldest event.
    pub(super) fn pop(&self) -> Option<GateEvent> {
        let was_full = !self.has_room();
        let event = self.events.borrow_mut().pop_front()?;
        self.bytes.set(self.bytes.get() - event.bytes());
        self.envelopes.set(self.envelopes.get() - event.envelopes());
        if was_full && self.has_room() {
            self.room.notify_one();
        }
        Some(event)
    }

    /// Polls for the oldest event. If there is none, the task is woken by the next one.
    pub(super) fn poll_pop(&self, context: &mut Context<'_>) -> Poll<GateEvent> {
        if let Some(event) = self.pop() {
            return Poll::Ready(event);
        }
        *self.driver.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }

    /// Returns whether a connection may still be read in this turn.
    pub(super) fn has_room(&self) -> bool {
        self.bytes.get() < self.bytes_max && self.envelopes.get() < self.envelopes_max
    }

    /// Waits for the turn to read, which lasts until the permit is dropped. The holder must not wait for anything else: all others wait
    /// for it.
    ///
    /// # Cancel safety
    /// A cancelled caller loses only its place in the order.
    pub(super) async fn turn(&self) -> SemaphorePermit<'_> {
        let turn = self.turn.acquire().await.expect("nothing closes this semaphore");
        while !self.has_room() {
            // `Notify` keeps an earlier notification, so none is missed. A stale one costs one more check.
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

    fn activity(number: u64) -> GateEvent {
        GateEvent::Activity { connection: ConnectionId(number) }
    }

    #[test]
    fn a_full_queue_blocks_reading_and_turns_are_first_come_first_served() {
        let queue = EventQueue::new(&GateLimits { queue_envelopes_max: 2, ..GateLimits::default() });
        let context = &mut Context::from_waker(Waker::noop());
        queue.push(activity(1));
        queue.push(activity(2));
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
