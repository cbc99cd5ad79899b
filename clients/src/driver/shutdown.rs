//! The close of a client.

use callboard_core::{
    client::{Action, Counters},
    time::Time,
};

use crate::error::close_error::CloseError;

/// The phase of a client's life.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lifecycle {
    /// The client accepts calls.
    Open,
    /// The client accepts no more calls, sends what is queued, and sends goodbye.
    Closing(Shutdown),
    /// The client has disconnected from the broker.
    Closed(Shutdown),
}

/// The state of a close.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shutdown {
    deadline: Time,
    goodbye: Goodbye,
    /// The casts that had been dropped before the close.
    casts_dropped: u64,
}

/// The state of the goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goodbye {
    /// There is no connection, or casts are still queued.
    NotSent,
    /// The broker has not acknowledged it yet.
    Sent,
    /// The broker has acknowledged it: all that was sent before has arrived.
    Confirmed,
}

impl Lifecycle {
    /// Records that the machine sent goodbye.
    pub(super) fn on_goodbye_sent(&mut self) {
        if let Lifecycle::Closing(shutdown) = self {
            shutdown.goodbye = Goodbye::Sent;
        }
    }

    /// Records the actions that a message led to. If they close a client that has sent goodbye, the message acknowledged it.
    pub(super) fn on_message<T>(&mut self, actions: &[Action<T>]) {
        if let Lifecycle::Closing(shutdown) = self
            && shutdown.goodbye == Goodbye::Sent
            && let Some(Action::Closed) = actions.last()
        {
            shutdown.goodbye = Goodbye::Confirmed;
        }
    }

    /// Returns the phase after the machine has closed.
    pub(super) fn closed(self) -> Lifecycle {
        match self {
            Lifecycle::Closing(shutdown) | Lifecycle::Closed(shutdown) => Lifecycle::Closed(shutdown),
            // The machine closes only on request.
            Lifecycle::Open => Lifecycle::Open,
        }
    }
}

impl Shutdown {
    /// Creates the state of a close that begins now and may take until `deadline`.
    pub(super) fn new(deadline: Time, counters: &Counters) -> Shutdown {
        Shutdown { deadline, goodbye: Goodbye::NotSent, casts_dropped: counters.casts_dropped }
    }

    /// Returns when the close must be complete.
    pub(super) fn deadline(&self) -> Time {
        self.deadline
    }

    /// Returns the result of the close after the client has disconnected: whether all that was sent has arrived.
    pub(super) fn result(&self, counters: &Counters) -> Result<(), CloseError> {
        let dropped = counters.casts_dropped - self.casts_dropped;
        if dropped > 0 {
            return Err(CloseError::CastsDropped(dropped));
        }
        let casts_sent = counters.casts > counters.casts_dropped;
        match self.goodbye {
            Goodbye::Confirmed => Ok(()),
            Goodbye::Sent => Err(CloseError::Unconfirmed),
            // There was no connection. Every call has had its outcome, but casts have none.
            Goodbye::NotSent if casts_sent => Err(CloseError::Unconfirmed),
            Goodbye::NotSent => Ok(()),
        }
    }
}
