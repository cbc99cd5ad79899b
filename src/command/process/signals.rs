//! Signals: Ctrl-C and SIGTERM ask a command to stop, SIGHUP to reload its keys.

use std::io;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::command::output::exit::Exit;

/// Runs `work`, and drops it at the first Ctrl-C: for commands that have nothing to finish.
pub(crate) async fn or_interrupted(work: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    tokio::select! {
        // Dropped at Ctrl-C: its drop cancels its calls and kills its processes.
        result = work => result,
        // Cancel safe: it only waits.
        signal = tokio::signal::ctrl_c() => signal.context("cannot listen for Ctrl-C").map(|()| Exit::Interrupted),
    }
}

/// The signals that ask a broker or a pool to finish its calls and end.
///
/// They are caught from its creation on, so create it before any process that must not be left behind.
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

/// SIGHUP, for a command that reloads its keys at it. For other commands the signal keeps its default action, which
/// ends the process.
pub(crate) struct Hangups(Option<Signal>);

impl Hangups {
    /// Catches SIGHUP from now on, if `enabled`.
    ///
    /// # Errors
    /// If the system rejects a signal handler.
    pub(crate) fn catch(enabled: bool) -> io::Result<Hangups> {
        Ok(Hangups(enabled.then(|| signal(SignalKind::hangup())).transpose()?))
    }

    /// Waits for the next SIGHUP; for ever if it is not enabled.
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
    /// If the system rejects a signal handler.
    pub(crate) fn catch() -> io::Result<StopSignals> {
        Ok(StopSignals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next signal, and returns the exit code of a command that then ends without an error.
    ///
    /// # Cancel safety
    /// Cancel safe: no signal is lost.
    pub(crate) async fn next(&mut self) -> Exit {
        tokio::select! {
            // Both only wait.
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Success,
        }
    }
}
