//! Calls whose callers gave them up.

use std::sync::{Mutex, PoisonError};

use callboard_core::client::Ticket;
use tokio::sync::Notify;

/// Calls that were given up since the link thread last looked.
///
/// It has no bound of its own, and needs none: a ticket comes here once, while its call waits or is open, no call ends between two
/// looks of the link thread, and it takes all of them with each look. So there are never more than calls that wait and are open,
/// which the queue's room and the broker's credit bound. (A place in the commands' channel could not be had: a drop cannot wait.)
#[derive(Debug, Default)]
pub(crate) struct Cancels {
    tickets: Mutex<Vec<Ticket>>,
    wake: Notify,
}

impl Cancels {
    /// Nobody waits for this call any more.
    pub(crate) fn push(&self, ticket: Ticket) {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let first = tickets.is_empty();
        tickets.push(ticket);
        drop(tickets);
        if first {
            self.wake.notify_one();
        }
    }

    /// All of them.
    pub(crate) fn take(&self) -> Vec<Ticket> {
        std::mem::take(&mut *self.tickets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until there are some. May also say so when they were taken already.
    ///
    /// # Cancel safety
    /// A word that was not waited for to its end is kept for the next wait.
    pub(crate) async fn some(&self) {
        self.wake.notified().await;
    }
}
