//! The owner's handle of a pool.

use std::{io, sync::mpsc::sync_channel, thread, time::Duration};

use tokio::{
    runtime::Builder,
    sync::{mpsc, oneshot, watch},
};

use super::{
    driver::Driver,
    event::{PoolEvent, PoolStatus},
    request::{DriverChannels, Request},
};
use crate::pool::{
    process::ProcessSpec,
    replicas::{ChangeError, RolloutId, RunningCalls, SupervisionSettings},
    settings::{PoolError, PoolSettings},
};

/// The capacity of the request channel and of the event channel. Further events wait in the pool; further requests make the owner
/// wait.
const CHANNEL_MAX: usize = 64;

/// A pool of worker processes, and the receiver of its events.
///
/// Dropping it and every [`PoolControl`] of it shuts the pool down with the drain time of its settings. If the program exits first,
/// the workers are killed. To let running calls finish, wait for [`PoolEvent::Finished`].
#[derive(Debug)]
pub struct Pool {
    control: PoolControl,
    events: mpsc::Receiver<PoolEvent>,
}

/// A handle that controls a pool. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PoolControl {
    requests: mpsc::Sender<Request>,
    status: watch::Receiver<PoolStatus>,
}

impl Pool {
    /// Checks the settings, finds the program, and starts the pool: a thread with its own runtime, and the processes. The caller needs
    /// no runtime. The function blocks for some milliseconds until the thread runs.
    ///
    /// # Errors
    /// [`PoolError`]; then no process has been started.
    pub fn start(settings: PoolSettings) -> Result<Pool, PoolError> {
        let spec = settings.process_spec()?;
        let (requests, request_receiver) = mpsc::channel(CHANNEL_MAX);
        let (event_sender, events) = mpsc::channel(CHANNEL_MAX);
        let (status_sender, status) = watch::channel(PoolStatus::initial(&settings));
        let channels = DriverChannels { requests: request_receiver, events: event_sender, status: status_sender };
        start_thread(spec, settings.size, settings.supervision(), channels)?;
        Ok(Pool { control: PoolControl { requests, status }, events })
    }

    /// Receives the next event. Returns `None` after [`PoolEvent::Finished`]; without that event if the pool's thread panicked, which
    /// kills its workers.
    ///
    /// A slow owner does not block the pool: it loses informational events ([`PoolEvent::Lagged`]), but not the last ones.
    ///
    /// # Cancel safety
    /// Cancel safe: no event is lost.
    pub async fn event(&mut self) -> Option<PoolEvent> {
        self.events.recv().await
    }

    /// Returns a handle that controls this pool.
    pub fn control(&self) -> PoolControl {
        self.control.clone()
    }
}

impl PoolControl {
    /// Reports that a worker of this name is registered at the broker. [`PoolEvent::Ready`] comes when all are registered.
    ///
    /// # Cancel safety
    /// A cancelled call may not have sent the request. Sending it again is harmless.
    pub async fn registered(&self, instance: impl Into<String>) {
        self.send(Request::Registered(instance.into())).await;
    }

    /// Shuts the pool down: sends SIGTERM to the group of each process, and after `within` SIGKILL to the rest. Zero kills at once. A
    /// second call can only shorten the time. [`PoolEvent::Finished`] comes when the last process is gone.
    ///
    /// # Cancel safety
    /// A cancelled call may not have sent the request. Sending it again is harmless.
    pub async fn shutdown(&self, within: Duration) {
        self.send(Request::Shutdown(within)).await;
    }

    /// Terminates one stuck process: SIGTERM to its group, and SIGKILL after [`crate::pool::STUCK_GRACE_PERIOD`]. The pool restarts it as
    /// after a crash. The call has no effect if no process has this name.
    ///
    /// # Cancel safety
    /// A cancelled call may not have sent the request. Sending it again is harmless.
    pub async fn terminate_stuck(&self, instance: impl Into<String>) {
        self.send(Request::TerminateStuck(instance.into())).await;
    }

    /// Scales the pool to `size` processes and returns at once; the status shows the progress. A pool that shrinks terminates processes
    /// that are not registered first, then those with the fewest running calls. `running` is the number of running calls of each
    /// process, by its name, as the broker counts them; a missing name counts as idle. A terminating process finishes its running
    /// calls, for at most the drain time.
    ///
    /// # Errors
    /// [`ChangeError`] if the size is out of bounds, a rollout is in progress, too many processes are terminating, or the pool is
    /// shutting down.
    ///
    /// # Cancel safety
    /// A cancelled call may have taken effect. Requesting the same size again is harmless.
    pub async fn scale(&self, size: u32, running: RunningCalls) -> Result<(), ChangeError> {
        self.request(|reply| Request::Scale(size, running, reply)).await
    }

    /// Starts a rolling replacement of every process and returns at once; [`PoolEvent::RolloutFinished`] reports its end. The pool first
    /// starts all new processes. When all are registered at the broker, they serve beside the old ones for the canary period, and
    /// then the old ones are terminated. If a new process exits before that, or they are not registered in time, the pool rolls back:
    /// it terminates the new processes instead.
    ///
    /// # Errors
    /// [`ChangeError`] if a rollout is in progress, too many processes are terminating, or the pool is shutting down.
    ///
    /// # Cancel safety
    /// A cancelled call may have taken effect.
    pub async fn reload(&self) -> Result<RolloutId, ChangeError> {
        self.request(Request::Reload).await
    }

    /// Replaces the process of this name, as [`PoolControl::reload`] replaces all, but without a canary period.
    ///
    /// # Errors
    /// As [`PoolControl::reload`], and [`ChangeError::NoSuchWorker`] if no process of this name runs.
    ///
    /// # Cancel safety
    /// A cancelled call may have taken effect.
    pub async fn replace(&self, instance: impl Into<String>) -> Result<RolloutId, ChangeError> {
        let instance = instance.into();
        self.request(|reply| Request::Replace(instance, reply)).await
    }

    /// Rolls back a rollout in progress: the pool keeps the old processes. The call has no effect if this rollout has ended.
    ///
    /// # Cancel safety
    /// A cancelled call may not have sent the request. Sending it again is harmless.
    pub async fn roll_back(&self, rollout: RolloutId, reason: impl Into<String>) {
        self.send(Request::RollBack(rollout, reason.into())).await;
    }

    /// Returns the current status; after the pool's end, the last one.
    pub fn status(&self) -> PoolStatus {
        self.status.borrow().clone()
    }

    async fn request<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, ChangeError>>) -> Request,
    ) -> Result<T, ChangeError> {
        let (reply, result) = oneshot::channel();
        self.send(request(reply)).await;
        result.await.unwrap_or(Err(ChangeError::ShuttingDown))
    }

    /// Sends a request. A pool that has ended needs no request, so that error is ignored. The driver never waits for its owner, so the
    /// channel has capacity again soon.
    async fn send(&self, request: Request) {
        let _ = self.requests.send(request).await;
    }
}

/// Starts the driver's thread. Returns when the driver runs, or could not start.
fn start_thread(
    spec: ProcessSpec,
    size: u32,
    settings: SupervisionSettings,
    channels: DriverChannels,
) -> Result<(), PoolError> {
    let (started, start_result) = sync_channel(1);
    thread::Builder::new().name("callboard-pool".into()).spawn(move || {
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(started.send(Err(error.into()))),
        };
        runtime.block_on(async {
            match Driver::new(spec, size, settings, channels) {
                Ok(driver) => {
                    let _ = started.send(Ok(()));
                    driver.run().await;
                }
                Err(error) => drop(started.send(Err(error))),
            }
        });
    })?;
    start_result
        .recv()
        .unwrap_or_else(|_| Err(io::Error::other("the thread of the pool exited before it started").into()))
}
