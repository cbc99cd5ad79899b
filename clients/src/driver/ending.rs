//! How a client ends.

use callboard_core::{
    client::{Action, Counters},
    time::Time,
};

use crate::close_error::CloseError;

/// How far the client's end has come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Life {
    /// It is open.
    Open,
    /// It takes no more calls, sends what waits and says goodbye.
    Closing(Ending),
    /// It has left the broker.
    Closed(Ending),
}

/// What is remembered of a close.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    deadline: Time,
    goodbye: Goodbye,
    /// Casts that had been dropped before.
    casts_dropped: u64,
}

/// Where our goodbye is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goodbye {
    /// Not said: there is no connection, or casts still wait.
    Unsaid,
    /// The broker's answer is waited for.
    Said,
    /// The broker answered: all that was sent before has arrived.
    Confirmed,
}

impl Life {
    /// The machine says goodbye.
    pub(super) fn notice_goodbye(&mut self) {
        if let Life::Closing(ending) = self {
            ending.goodbye = Goodbye::Said;
        }
    }

    /// A message led to these actions. If it is the one that ends a client that has said goodbye, it is the answer.
    pub(super) fn notice_answer<T>(&mut self, actions: &[Action<T>]) {
        if let Life::Closing(ending) = self
            && ending.goodbye == Goodbye::Said
            && let Some(Action::Closed) = actions.last()
        {
            ending.goodbye = Goodbye::Confirmed;
        }
    }

    /// The machine is done.
    pub(super) fn closed(self) -> Life {
        match self {
            Life::Closing(ending) | Life::Closed(ending) => Life::Closed(ending),
            // It ends only when it was told to.
            Life::Open => Life::Open,
        }
    }
}

impl Ending {
    /// The end begins; it may take until `deadline`.
    pub(super) fn new(deadline: Time, counters: &Counters) -> Ending {
        Ending { deadline, goodbye: Goodbye::Unsaid, casts_dropped: counters.casts_dropped }
    }

    /// How long it may take.
    pub(super) fn deadline(&self) -> Time {
        self.deadline
    }

    /// Whether all that was sent has arrived, now that the client has left.
    pub(super) fn result(&self, counters: &Counters) -> Result<(), CloseError> {
        let dropped = counters.casts_dropped - self.casts_dropped;
        if dropped > 0 {
            return Err(CloseError::CastsDropped(dropped));
        }
        let casts_sent = counters.casts > counters.casts_dropped;
        match self.goodbye {
            Goodbye::Confirmed => Ok(()),
            Goodbye::Said => Err(CloseError::Unconfirmed),
            // Nobody was there to say it to. Of calls every caller has heard; of casts nobody has.
            Goodbye::Unsaid if casts_sent => Err(CloseError::Unconfirmed),
            Goodbye::Unsaid => Ok(()),
        }
    }
}
