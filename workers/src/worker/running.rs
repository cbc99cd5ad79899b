//! The handle of a running worker.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use callboard_core::wire::status::Failure;
use callboard_transport::Clock;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::dispatcher;

use super::{driver::Command, error::WorkerError, state::WorkerState};

/// How the broker's message about a missing key begins.
const KEY_REQUIRED: &str = "the broker requires a key and this program has none";

/// The handle of a running worker. Dropping it does not stop the worker; [`RunningWorker::shutdown`] does.
#[derive(Debug)]
pub struct RunningWorker {
    clock: Clock,
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<WorkerState>,
    end: oneshot::Receiver<Result<(), Box<Failure>>>,
    address: String,
    /// Whether an authentication failure mentions the environment variable for the key.
    hint_at_authkey: bool,
}

impl RunningWorker {
    pub(super) fn new(
        clock: Clock,
        commands: mpsc::Sender<Command>,
        state: watch::Receiver<WorkerState>,
        end: oneshot::Receiver<Result<(), Box<Failure>>>,
        address: String,
        hint_at_authkey: bool,
    ) -> RunningWorker {
        RunningWorker { clock, commands, state, end, address, hint_at_authkey }
    }

    /// Returns the current state.
    pub fn state(&self) -> WorkerState {
        self.state.borrow().clone()
    }

    /// Returns a function that reads the current state, for use while another task holds this handle.
    pub fn state_reader(&self) -> impl Fn() -> WorkerState + Send + Sync + 'static {
        let state = self.state.clone();
        move || state.borrow().clone()
    }

    /// Waits until the worker is registered at the broker; returns at once if it already is.
    ///
    /// # Errors
    /// [`WorkerError::IoThreadEnded`] if the worker stopped first. [`RunningWorker::stopped`] returns the reason.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn registered(&mut self) -> Result<WorkerState, WorkerError> {
        let registered = self.state.wait_for(|state| matches!(state, WorkerState::Registered { .. })).await;
        registered.map(|state| state.clone()).map_err(|_| WorkerError::IoThreadEnded)
    }

    /// Prints a line on standard error when the worker is registered, once. A program that has a log has the line there.
    pub(super) fn announce(&self, line: String) {
        let mut state = self.state.clone();
        tokio::spawn(async move {
            let registered = state.wait_for(|state| matches!(state, WorkerState::Registered { .. })).await;
            if registered.is_ok() && !dispatcher::has_been_set() {
                // A failure to print cannot be reported either.
                let _ = writeln!(io::stderr(), "{line}");
            }
        });
    }

    /// Requests a graceful shutdown: the worker takes no more calls, finishes the running ones within this time, and disconnects.
    /// [`RunningWorker::stopped`] waits for the end.
    ///
    /// # Cancel safety
    /// A cancelled call may not have sent the request. Sending it again is harmless.
    pub async fn shutdown(&self, within: Duration) {
        let deadline = self.clock.now() + within;
        // Fails if the worker has already stopped.
        let _ = self.commands.send(Command::Shutdown { deadline }).await;
    }

    /// Waits until the worker has stopped.
    ///
    /// # Errors
    /// [`WorkerError::Rejected`] if the broker rejected the worker, [`WorkerError::IoThreadEnded`] if the I/O thread panicked.
    ///
    /// # Cancel safety
    /// Cancel safe until it has returned once. After that it returns [`WorkerError::IoThreadEnded`].
    pub async fn stopped(&mut self) -> Result<(), WorkerError> {
        match (&mut self.end).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failure)) => {
                Err(WorkerError::Rejected { address: self.address.clone(), failure: self.with_hint(failure) })
            }
            Err(_) => Err(WorkerError::IoThreadEnded),
        }
    }

    /// Replaces the broker's message about a missing key: it names a flag of the command, which a worker does not have.
    fn with_hint(&self, failure: Box<Failure>) -> Box<Failure> {
        if !self.hint_at_authkey || !failure.message.starts_with(KEY_REQUIRED) {
            return failure;
        }
        let text = "the broker requires a key and this worker has none: set CALLBOARD_AUTHKEY to the broker's key";
        Box::new(Failure::new(failure.code, failure.executed, text))
    }
}
