//! The requests of a pool's owner to the driver, and the channels between them.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::event::{PoolEvent, PoolStatus};
use crate::pool::replicas::{ChangeError, RolloutId, RunningCalls};

/// A request of the owner.
#[derive(Debug)]
pub(super) enum Request {
    /// A worker of this name is registered at the broker.
    Registered(String),
    /// Terminate the process of this name, which is stuck.
    TerminateStuck(String),
    /// Scale to this size. The map has the running calls of each process.
    Scale(u32, RunningCalls, ReplySender<()>),
    /// Replace all processes.
    Reload(ReplySender<RolloutId>),
    /// Replace the process of this name.
    Replace(String, ReplySender<RolloutId>),
    /// Roll back this rollout, for this reason.
    RollBack(RolloutId, String),
    /// Shut down within this time.
    Shutdown(Duration),
}

/// The channel for the result of a requested change.
pub(super) type ReplySender<T> = oneshot::Sender<Result<T, ChangeError>>;

/// The driver's ends of the channels to its owner.
#[derive(Debug)]
pub(super) struct DriverChannels {
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) events: mpsc::Sender<PoolEvent>,
    pub(super) status: watch::Sender<PoolStatus>,
}
