//! The owner's side of a pool.

use std::{io, sync::mpsc::sync_channel, thread, time::Duration};

use tokio::{
    runtime::Builder,
    sync::{mpsc, oneshot, watch},
};

use super::{
    ask::{ExchangeNumber, Refusal},
    command::{Command, Ends},
    driver::Driver,
    event::{PoolEvent, PoolStatus},
    process::Recipe,
    seats::{Rules, RunningCalls},
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
        let (teller, status) = watch::channel(PoolStatus::before(&settings));
        let ends = Ends { commands: commanded, events: sender, status: teller };
        start_thread(recipe, settings.size, settings.rules(), ends)?;
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

    /// Ends one process that is stuck: SIGTERM to its group, SIGKILL [`super::STUCK_TERM`] later if it is still there. Another one
    /// takes its place as after a crash. A name that no process has (any more) does nothing.
    ///
    /// # Cancel safety
    /// A call that is cancelled may not have told it; telling it again does no harm.
    pub async fn end_stuck(&self, instance: impl Into<String>) {
        self.tell(Command::EndStuck(instance.into())).await;
    }

    /// Makes the pool `size` processes large, and returns at once: the status tells how far it is. Who leaves is who is least missed:
    /// first who does not serve, then who runs the fewest calls. `running` says how many each process runs, by its name, as the
    /// broker knows it; what is not in it counts as idle. Who leaves finishes what it runs, for at most the drain time.
    ///
    /// # Errors
    /// [`Refusal`] if the size is out of bounds, processes are being exchanged, or the pool is ending.
    ///
    /// # Cancel safety
    /// A call that is cancelled may have been heard; asking again for the same size does no harm.
    pub async fn scale(&self, size: u32, running: RunningCalls) -> Result<(), Refusal> {
        self.ask(|answer| Command::Scale(size, running, answer)).await
    }

    /// Exchanges every process for a new one of the same program, and returns at once; [`PoolEvent::Exchanged`] tells the end. First
    /// all the new ones are started. When all are registered at the broker, they serve beside the old ones for the trial's time, and
    /// then the old ones leave. If a new one ends before that, or they are not registered in time, the new ones leave instead.
    ///
    /// # Errors
    /// [`Refusal`] if processes are being exchanged, many still leave, or the pool is ending.
    ///
    /// # Cancel safety
    /// A call that is cancelled may have been heard.
    pub async fn reload(&self) -> Result<ExchangeNumber, Refusal> {
        self.ask(Command::Reload).await
    }

    /// As [`PoolControl::reload`], for the one process of this name, and without a trial.
    ///
    /// # Errors
    /// [`Refusal`], also if no process of this name runs.
    ///
    /// # Cancel safety
    /// A call that is cancelled may have been heard.
    pub async fn replace(&self, instance: impl Into<String>) -> Result<ExchangeNumber, Refusal> {
        let instance = instance.into();
        self.ask(|answer| Command::Replace(instance, answer)).await
    }

    /// Ends an exchange that is under way with the old processes, because the new ones do worse: `why` says how.
    ///
    /// # Cancel safety
    /// A call that is cancelled may not have told it; telling it again does no harm.
    pub async fn condemn(&self, exchange: ExchangeNumber, why: impl Into<String>) {
        self.tell(Command::Condemn(exchange, why.into())).await;
    }

    /// The pool as it stands; as it stood last, once it has ended.
    pub fn status(&self) -> PoolStatus {
        self.status.borrow().clone()
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Command) -> Result<T, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.tell(command(answer)).await;
        answered.await.unwrap_or(Err(Refusal::Ending))
    }

    /// A pool that has ended needs to be told nothing. One that has not takes every command at once: it waits for nobody.
    async fn tell(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }
}

/// Starts the thread, and returns when it runs or has failed to.
fn start_thread(recipe: Recipe, size: u32, rules: Rules, ends: Ends) -> Result<(), PoolError> {
    let (began, beginning) = sync_channel(1);
    thread::Builder::new().name("callboard-pool".into()).spawn(move || {
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(began.send(Err(error.into()))),
        };
        runtime.block_on(async {
            match Driver::new(recipe, size, rules, ends) {
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
