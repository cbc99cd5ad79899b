//! The owner's side of a pool.

use std::{io, sync::mpsc::sync_channel, thread, time::Duration};

use tokio::{
    runtime::Builder,
    sync::{mpsc, watch},
};

use super::{
    driver::{Command, Driver, Ends},
    event::{PoolEvent, PoolStatus},
    process::Recipe,
    settings::{PoolError, PoolSettings},
};

/// Events and commands that one turn of an owner may leave waiting; more wait in the pool, or make the owner wait.
const CHANNEL_MAX: usize = 64;

/// A pool of worker processes, with the events that it sends.
///
/// Dropping it, and every [`PoolControl`] of it, ends the pool as [`PoolControl::shutdown`] does with the drain time of its
/// settings. If the program ends first, its workers are killed: an owner that cares for the calls they run waits for
/// [`PoolEvent::Finished`].
#[derive(Debug)]
pub struct Pool {
    control: PoolControl,
    events: mpsc::Receiver<PoolEvent>,
}

/// A handle by which a pool is told and asked. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PoolControl {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<PoolStatus>,
}

impl Pool {
    /// Checks the settings, finds the program and starts the pool: a thread with a runtime of its own, and the processes. Needs
    /// no runtime itself; blocks for some milliseconds, until that thread has said that it runs.
    ///
    /// # Errors
    /// [`PoolError`]; nothing has been started then.
    pub fn start(settings: PoolSettings) -> Result<Pool, PoolError> {
        let recipe = settings.recipe()?;
        let (commands, commanded) = mpsc::channel(CHANNEL_MAX);
        let (sender, events) = mpsc::channel(CHANNEL_MAX);
        let (teller, status) = watch::channel(PoolStatus::default());
        let ends = Ends { commands: commanded, events: sender, status: teller };
        start_thread(recipe, settings.size, settings.drain, ends)?;
        Ok(Pool { control: PoolControl { commands, status }, events })
    }

    /// The next event; `None` after [`PoolEvent::Finished`] (or, if the pool's thread panicked, without it: its workers are dead).
    ///
    /// A pool never waits for its owner: one that takes no events for long misses some ([`PoolEvent::Missed`]), but never the
    /// last ones.
    ///
    /// # Cancel safety
    /// Cancel safe: no event is lost.
    pub async fn event(&mut self) -> Option<PoolEvent> {
        self.events.recv().await
    }

    /// A handle to tell and ask this pool.
    pub fn control(&self) -> PoolControl {
        self.control.clone()
    }
}

impl PoolControl {
    /// Tells the pool that a worker of this name is registered at the broker. When all are, [`PoolEvent::Ready`] comes.
    ///
    /// # Cancel safety
    /// A call that is cancelled may not have told it; telling it again does no harm.
    pub async fn registered(&self, instance: impl Into<String>) {
        self.tell(Command::Registered(instance.into())).await;
    }

    /// Ends the pool: SIGTERM to the group of each process, and after `within` SIGKILL to what is left. Zero kills at once. A
    /// second call may only shorten the time. [`PoolEvent::Finished`] comes when the last process is gone.
    ///
    /// # Cancel safety
    /// A call that is cancelled may not have told it; telling it again does no harm.
    pub async fn shutdown(&self, within: Duration) {
        self.tell(Command::Shutdown(within)).await;
    }

    /// Replaces one process that is stuck: SIGTERM to its group, SIGKILL [`super::REPLACE_TERM`] later if it is still there. Another one
    /// takes its place as after a crash. A name that no process has (any more) does nothing.
    ///
    /// # Cancel safety
    /// A call that is cancelled may not have told it; telling it again does no harm.
    pub async fn replace(&self, instance: impl Into<String>) {
        self.tell(Command::Replace(instance.into())).await;
    }

    /// The pool as it stands; as it stood last, once it has ended.
    pub fn status(&self) -> PoolStatus {
        self.status.borrow().clone()
    }

    /// A pool that has ended needs to be told nothing. One that has not takes every command at once: it waits for nobody.
    async fn tell(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }
}

/// Starts the thread, and returns when it runs or has failed to.
fn start_thread(recipe: Recipe, size: u32, drain: Duration, ends: Ends) -> Result<(), PoolError> {
    let (began, beginning) = sync_channel(1);
    thread::Builder::new().name("callboard-pool".into()).spawn(move || {
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(began.send(Err(error.into()))),
        };
        runtime.block_on(async {
            match Driver::new(recipe, size, drain, ends) {
                Ok(driver) => {
                    let _ = began.send(Ok(()));
                    driver.run().await;
                }
                Err(error) => drop(began.send(Err(error))),
            }
        });
    })?;
    beginning.recv().unwrap_or_else(|_| Err(io::Error::other("its thread ended before it began").into()))
}
