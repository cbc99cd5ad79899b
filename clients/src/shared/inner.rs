//! The state that all handles of one client share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use callboard_core::{
    client::{Ticket, Timeout},
    time::Time,
};
use callboard_transport::Clock;
use tokio::{
    runtime::Handle,
    sync::{SemaphorePermit, watch},
};

use super::{
    capacity::{CapacityLimit, NoPermit},
    channels::ThreadChannels,
    command::Command,
    deadline_timer::DeadlineTimer,
    state::ClientStatus,
};
use crate::{call::request::Request, completion::reply_sink::ReplySink, error::call_error::CallError};

/// The state that all handles of one client share. When the last handle is dropped, the I/O thread closes the client.
#[derive(Debug)]
pub(crate) struct ClientInner {
    pub(crate) channels: Arc<ThreadChannels>,
    pub(crate) status: watch::Receiver<ClientStatus>,
    /// The runtime of the driver, for timers.
    pub(crate) runtime: Handle,
    pub(crate) clock: Clock,
    pub(crate) address: String,
    /// The timeout of calls without one of their own.
    pub(crate) timeout: Option<Duration>,
    pub(crate) next_ticket: AtomicU64,
    pub(crate) closing: AtomicBool,
}

impl ClientInner {
    /// Takes a permit of the queue if one is available. [`ClientInner::send`] must follow in the same poll; the I/O thread releases
    /// the permit.
    pub(crate) fn try_reserve(&self) -> Result<(), NoPermit> {
        self.channels.queue.try_acquire().map(SemaphorePermit::forget)
    }

    /// Waits for a permit of the queue until `deadline`. Otherwise as [`ClientInner::try_reserve`].
    pub(crate) async fn reserve(&self, deadline: Option<Time>) -> Result<(), NoPermit> {
        self.acquire(&self.channels.queue, deadline).await.map(SemaphorePermit::forget)
    }

    /// Waits for a permit for a pending callback until `deadline`.
    pub(crate) async fn reserve_callback(&self, deadline: Option<Time>) -> Result<SemaphorePermit<'_>, NoPermit> {
        self.acquire(&self.channels.callbacks.capacity, deadline).await
    }

    async fn acquire<'a>(
        &self,
        limit: &'a CapacityLimit,
        deadline: Option<Time>,
    ) -> Result<SemaphorePermit<'a>, NoPermit> {
        match limit.try_acquire() {
            Err(NoPermit::Full) => tokio::select! {
                biased;
                // Cancel safe: a dropped future passes its permit to the next waiter.
                permit = limit.acquire() => permit,
                // Cancel safe: only waits.
                () = DeadlineTimer::new(deadline, self.clock, &self.runtime) => Err(NoPermit::TimedOut),
            },
            permit => permit,
        }
    }

    /// Returns the ticket of a new call.
    pub(crate) fn next_ticket(&self) -> Ticket {
        Ticket(self.next_ticket.fetch_add(1, Ordering::Relaxed))
    }

    /// Gives a call that has its permit of the queue to the I/O thread. Returns the call's ticket.
    ///
    /// # Errors
    /// The call's reply sink, if the I/O thread has ended, and with it all permits.
    pub(crate) fn send(&self, request: Request, created: Time, sink: ReplySink) -> Result<Ticket, ReplySink> {
        let ticket = self.next_ticket();
        self.send_with_ticket(ticket, request, created, sink).map(|()| ticket)
    }

    /// Gives a call that already has its ticket to the I/O thread. Otherwise as [`ClientInner::send`].
    ///
    /// # Errors
    /// As for [`ClientInner::send`].
    pub(crate) fn send_with_ticket(
        &self,
        ticket: Ticket,
        request: Request,
        created: Time,
        sink: ReplySink,
    ) -> Result<(), ReplySink> {
        let call = request.into_new_call(ticket, created, sink);
        match self.channels.commands.push(Command::Call(call)) {
            Ok(()) => Ok(()),
            Err(Command::Call(call)) => Err(call.token),
            Err(_) => unreachable!("the pushed command was a call"),
        }
    }

    /// Returns the error of a call without a permit of the queue.
    pub(crate) fn queue_error(&self, reason: NoPermit, timeout: Option<Timeout>) -> CallError {
        permit_error(reason, &self.channels.queue, "calls", "queue_calls_max", timeout)
    }

    /// Returns the error of a call without a permit for its callback.
    pub(crate) fn callback_error(&self, reason: NoPermit, timeout: Option<Timeout>) -> CallError {
        permit_error(reason, &self.channels.callbacks.capacity, "callbacks", "callbacks_max", timeout)
    }
}

impl Drop for ClientInner {
    fn drop(&mut self) {
        // An error means that the I/O thread has already ended.
        let _ = self.channels.commands.push(Command::Close);
    }
}

fn permit_error(
    reason: NoPermit,
    limit: &CapacityLimit,
    what: &str,
    setting: &str,
    timeout: Option<Timeout>,
) -> CallError {
    match reason {
        NoPermit::Full => CallError::queue_full(what, limit.max(), setting),
        NoPermit::TimedOut => CallError::queue_timeout(what, limit.max(), timeout),
        NoPermit::Closed => CallError::client_closed(),
    }
}
