//! Being asked to stop, by Ctrl-C and SIGTERM, or to read again, by SIGHUP.

use std::io;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::command::output::exit::Exit;

/// Does `work`, or gives it up at the first Ctrl-C: for commands that have nothing to finish.
pub(crate) async fn or_interrupted(work: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    tokio::select! {
        // Dropped at Ctrl-C: what it left open is cancelled or killed by its own drop.
        result = work => result,
        // Cancel safe: it only waits.
        signal = tokio::signal::ctrl_c() => signal.context("cannot listen for Ctrl-C").map(|()| Exit::Interrupted),
    }
}

/// The signals that ask a broker or a pool to finish what it does and end.
///
/// They are caught from the moment this exists, so make it before anything that must not be left behind.
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

/// SIGHUP, where it means that something is to be read again. Elsewhere it keeps its own meaning: the terminal is gone.
pub(crate) struct Hangups(Option<Signal>);

impl Hangups {
    /// Catches it from now on, if it is `meant`.
    ///
    /// # Errors
    /// If the system refuses a signal handler.
    pub(crate) fn catch(meant: bool) -> io::Result<Hangups> {
        Ok(Hangups(meant.then(|| signal(SignalKind::hangup())).transpose()?))
    }

    /// Waits for the next one; for ever if it is not meant.
    ///
    /// # Cancel safety
    /// Cancel safe: no signal is lost.
    pub(crate) async fn next(&mut self) {
        match &mut self.0 {
            Some(hangup) => drop(hangup.recv().await),
            None => std::future::pending().await,
        }
    }
}

impl StopSignals {
    /// Catches Ctrl-C and SIGTERM from now on.
    ///
    /// # Errors
    /// If the system refuses a signal handler.
    pub(crate) fn catch() -> io::Result<StopSignals> {
        Ok(StopSignals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one, and gives the exit code for a command that then ends well.
    ///
    /// # Cancel safety
    /// Cancel safe: no signal is lost.
    pub(crate) async fn next(&mut self) -> Exit {
        tokio::select! {
            // Both only wait.
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Fine,
        }
    }
}
