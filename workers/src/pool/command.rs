//! What a pool's owner asks of its driver, and the channels between them.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::{
    ask::{ExchangeNumber, Refusal},
    event::{PoolEvent, PoolStatus},
    seats::RunningCalls,
};

/// What the owner asks for.
#[derive(Debug)]
pub(super) enum Command {
    /// A worker of this name is registered at the broker.
    Registered(String),
    /// The process of this name is stuck: end it.
    EndStuck(String),
    /// Be so many; who runs how many calls.
    Scale(u32, RunningCalls, Answer<()>),
    /// Exchange all processes.
    Reload(Answer<ExchangeNumber>),
    /// Exchange the one of this name.
    Replace(String, Answer<ExchangeNumber>),
    /// The new ones of this exchange do worse than the old ones; how.
    Condemn(ExchangeNumber, String),
    /// End, within this time.
    Shutdown(Duration),
}

/// Where the machine's word on what was asked goes.
pub(super) type Answer<T> = oneshot::Sender<Result<T, Refusal>>;

/// The driver's ends of its owner's channels.
#[derive(Debug)]
pub(super) struct Ends {
    /// What the owner asks for.
    pub(super) commands: mpsc::Receiver<Command>,
    /// What the owner is told.
    pub(super) events: mpsc::Sender<PoolEvent>,
    /// How the pool stands.
    pub(super) status: watch::Sender<PoolStatus>,
}
